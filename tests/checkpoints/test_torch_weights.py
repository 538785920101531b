import collections
import copy
import datetime
import os
import pickle
import re
import subprocess
import typing
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.checkpoints.torch_weights import STORAGE_DTYPES, read_state_dict
from sleap_lab.errors import RunError

BRIGHT_AND_DARK = [[1.0, 0.0], [-1.0, 1.0]]  # two nodes: the brightest pixel and the darkest


@pytest.fixture
def folder(make_model):
    return make_model("single_instance", {"confmaps": BRIGHT_AND_DARK})


def resave(folder, change, name="best.ckpt"):
    """Write a checkpoint whose weights are those of a folder, changed."""
    content = torch.load(folder / "best.ckpt", weights_only=True)
    change(content["state_dict"])
    torch.save(content, folder / name)
    return folder / name


def refusal(path):
    with pytest.raises(RunError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


# ---- weights come back


@pytest.mark.parametrize(
    "tensor",
    [
        torch.rand(3, 1, 2, 2),
        torch.rand(4, 5).t(),  # not contiguous
        torch.rand(10)[3:7],  # a part of a larger storage
        torch.rand(1).expand(4, 4),  # many elements in one number
        torch.tensor(3.5),
        torch.zeros(0, 3),
        torch.nn.Parameter(torch.rand(2)),
        torch.tensor([True, False]),
        *(
            torch.arange(-3, 4).to(dtype)
            for dtype in STORAGE_DTYPES.values()
            if dtype not in (torch.bool, torch.uint8)
        ),
        torch.arange(7, dtype=torch.uint8),
    ],
    ids=lambda tensor: f"{tuple(tensor.shape)}-{tensor.dtype}",
)
def test_tensors_come_back(tmp_path, tensor):
    torch.save({"state_dict": {"model.x": tensor}}, tmp_path / "a.ckpt")
    (found,) = read_state_dict(tmp_path / "a.ckpt").values()
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor.detach())


def test_tensors_that_share_a_storage_come_back(tmp_path):
    whole = torch.arange(6.0)
    torch.save({"state_dict": {"whole": whole, "part": whole[2:4]}}, tmp_path / "a.ckpt")
    state = read_state_dict(tmp_path / "a.ckpt")
    assert state["whole"].tolist() == [0, 1, 2, 3, 4, 5]
    assert state["part"].tolist() == [2, 3]


def test_names_lose_the_prefix_of_training(tmp_path):
    torch.save(
        {"state_dict": {"model.backbone.x": torch.ones(1), "head.model.y": torch.ones(1)}},
        tmp_path / "a.ckpt",
    )
    assert list(read_state_dict(tmp_path / "a.ckpt")) == ["backbone.x", "head.model.y"]


def test_a_module_comes_back(tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Linear(2, 3))
    torch.save({"state_dict": module.state_dict(), "epoch": 3}, tmp_path / "a.ckpt")
    state = read_state_dict(str(tmp_path / "a.ckpt"))
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
    assert state.keys() == module.state_dict().keys()


def test_what_training_stores_beside_the_weights_is_inert(tmp_path):
    config = OmegaConf.create(
        {"trainer": {"lr": 1e-3, "steps": [1, 2], "name": None}, "missing": "???"}
    )
    beside = {
        "pytorch-lightning_version": "2.5.0",
        "config": config,
        "callbacks": {
            "best": torch.tensor(0.5),
            "folder": Path("/models"),
            "when": datetime.datetime(2025, 1, 2),
        },
        "loops": collections.defaultdict(dict, {"epoch": {"done": 3}}),
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "betas": (0.9, 0.999)}],
        "seen": {1, 2},
        "fixed": frozenset({"a"}),
        "number": np.float64(3.5),
        "array": np.arange(3),
        "annotation": typing.Optional[int],  # noqa: UP045  # the two are pickled in different ways
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "size": torch.Size([1, 2]),
        "counts": collections.Counter("aab"),
        "queue": collections.deque([1, 2], maxlen=3),
    }
    torch.save({**beside, "state_dict": {"model.x": torch.ones(2)}}, tmp_path / "a.ckpt")
    assert read_state_dict(tmp_path / "a.ckpt")["x"].tolist() == [1, 1]


# ---- nothing in a file is run


def archive(path, content, **entries):
    """Write a checkpoint from a pickle, given as bytes or as an object, and its raw storages."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            "archive/data.pkl",
            content if isinstance(content, bytes) else pickle.dumps(content, protocol=2),
        )
        for key, data in entries.items():
            file.writestr(f"archive/data/{key.removeprefix('_')}", data)
    return path


class Call:
    """Pickled as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["beside", "weight", "key", "instead"])
def test_a_pickle_that_calls_a_program_is_refused_and_nothing_runs(tmp_path, protocol, place):
    marker = tmp_path / "ran"
    bomb = Call(os.system, f"touch {marker}")
    content = {
        "beside": {"config": bomb, "state_dict": {}},
        "weight": {"state_dict": {"model.x": bomb}},
        "key": {"state_dict": [(bomb, 1)]},
        "instead": bomb,
    }[place]
    path = archive(tmp_path / "a.ckpt", pickle.dumps(content, protocol))
    expected = (
        "it asks for posix.system; refused, because only tensors and plain containers are read "
        "and nothing is run"
    )
    assert refusal(path) == f"not a readable checkpoint: {expected}"
    assert not marker.exists()
    pickle.loads(pickle.dumps(content, protocol))
    assert marker.exists(), "the bomb does not work, so that nothing is shown"


def test_the_same_in_a_checkpoint_that_torch_wrote(tmp_path):
    marker = tmp_path / "ran"
    torch.save(
        {"state_dict": {"x": torch.ones(1)}, "config": Call(os.system, f"touch {marker}")},
        tmp_path / "a.ckpt",
    )
    assert "posix.system" in refusal(tmp_path / "a.ckpt")
    assert not marker.exists()


@pytest.mark.parametrize(
    "function",
    [
        eval,
        exec,
        getattr,
        __import__,
        open,
        compile,
        print,
        subprocess.Popen,
        pickle.loads,
        os.remove,
    ],
    ids=lambda function: getattr(function, "__qualname__", str(function)),
)
def test_functions_are_refused_by_name(tmp_path, function):
    path = archive(tmp_path / "a.ckpt", {"config": Call(function, "1"), "state_dict": {}})
    assert f".{function.__qualname__}; refused" in refusal(path)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "object.__subclasses__"),
        ("builtins", "dict.__class__"),
        ("__builtin__", "eval"),
        ("os", "system"),
        ("nt", "system"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("importlib", "import_module"),
        ("sleap_lab.checkpoints.torch_weights", "zipfile.os.system"),
        ("torchvision.datasets", "Anything"),
        ("collections_of_evil", "OrderedDict"),
        ("sys", "modules"),
    ],
)
@pytest.mark.parametrize("opcode", ["global", "stack"])
def test_names_are_refused_however_they_are_spelled(tmp_path, module, name, opcode):
    if opcode == "global":
        payload = f"c{module}\n{name}\n.".encode()
    else:
        texts = b"".join(
            b"X" + len(text).to_bytes(4, "little") + text.encode() for text in (module, name)
        )
        payload = b"\x80\x04" + texts + b"\x93."
    assert f"it asks for {module}.{name}; refused" in refusal(archive(tmp_path / "a.ckpt", payload))


@pytest.mark.parametrize(
    "call",
    [
        lambda target: Call(torch.save, {"a": 1}, str(target)),
        lambda target: Call(np.save, str(target), [1]),
        lambda target: Call(Path.touch, target),
        lambda target: Call(OmegaConf.save, OmegaConf.create({"a": 1}), str(target)),
    ],
    ids=["torch", "numpy", "pathlib", "omegaconf"],
)
def test_functions_of_libraries_that_training_uses_do_not_run_either(tmp_path, call):
    target = tmp_path / "written.npy"
    path = archive(tmp_path / "a.ckpt", pickle.dumps({"config": call(target), "state_dict": {}}, 4))
    assert read_state_dict(path) == {}
    assert not target.exists()


def test_a_known_function_cannot_be_given_other_insides(tmp_path):
    """A pickle may set attributes of what it got; none of ours may lead anywhere."""
    # collections.OrderedDict, {"__init__": 1}, BUILD: sets class attributes.
    payload = b"ccollections\nOrderedDict\n}X\x08\x00\x00\x00__init__K\x01sb."
    assert refusal(archive(tmp_path / "a.ckpt", payload)).startswith("not a readable checkpoint: ")
    assert collections.OrderedDict([("a", 1)]) == {"a": 1}


# ---- files that lie or are broken


class Storage(typing.NamedTuple):
    """Names a storage of a checkpoint, and claims what is in it."""

    key: str
    numel: int
    kind: object = torch.FloatStorage


class StoragePickler(pickle.Pickler):
    def persistent_id(self, obj):
        return (
            ("storage", obj.kind, obj.key, "cpu", obj.numel) if isinstance(obj, Storage) else None
        )


def lying(path, storage, size, stride=None, offset=0, data=bytes(4 * 6)):
    """Write a checkpoint with one tensor `x` that claims a storage, an offset and a size."""
    stride = (
        stride
        if stride is not None
        else tuple(int(np.prod(size[i + 1 :])) for i in range(len(size)))
    )
    tensor = Call(
        torch._utils._rebuild_tensor_v2,
        storage,
        offset,
        size,
        stride,
        False,
        collections.OrderedDict(),
    )
    with open(path.with_suffix(".pkl"), "wb") as file:
        StoragePickler(file, protocol=2).dump({"state_dict": {"x": tensor}})
    return archive(path, path.with_suffix(".pkl").read_bytes(), _0=data)


def test_a_true_claim_is_read(tmp_path):
    data = np.arange(6, dtype=np.float32).tobytes()
    state = read_state_dict(
        lying(tmp_path / "a.ckpt", Storage("0", 6), (2, 2), offset=1, data=data)
    )
    assert state["x"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("storage", "size", "options", "reason"),
    [
        (Storage("0", 7), (2, 3), {}, "storage 0 holds 24 bytes, not 7 numbers of torch.float32"),
        (Storage("0", 5), (2, 2), {}, "storage 0 holds 24 bytes, not 5 numbers"),
        (Storage("0", -1), (2, 3), {}, "storage 0 holds 24 bytes, not -1 numbers"),
        (
            Storage("0", 6, torch.DoubleStorage),
            (2, 3),
            {},
            "storage 0 holds 24 bytes, not 6 numbers of torch.float64",
        ),
        (
            Storage("0", 6, collections.OrderedDict),
            (2, 3),
            {},
            "storage 0 holds 24 bytes, not 6 numbers of <class",
        ),
        (Storage("1", 6), (2, 3), {}, "There is no item named 'archive/data/1'"),
        (Storage("../../etc/passwd", 6), (2, 3), {}, "There is no item named"),
        (Storage("0", 6), (3, 3), {}, "out of bounds"),  # more elements than there are
        (Storage("0", 6), (2, 3), {"offset": 1}, "out of bounds"),
        (Storage("0", 6), (2, 3), {"offset": -1}, ""),
        (Storage("0", 6), (2, 3), {"stride": (1000, 1)}, "out of bounds"),
        (Storage("0", 6), (-2, 3), {}, ""),
        (Storage("0", 6), (2, 3), {"data": bytes(10)}, "storage 0 holds 10 bytes, not 6 numbers"),
    ],
)
def test_claims_that_do_not_hold_are_refused(tmp_path, storage, size, options, reason):
    message = refusal(lying(tmp_path / "a.ckpt", storage, size, **options))
    assert message.startswith("not a readable checkpoint: ")
    assert reason in message


def test_a_tensor_of_endless_size_costs_no_memory(folder):
    # A stride of 0 repeats one number 10^12 times; it just has the wrong shape.
    lying(folder / "best.ckpt", Storage("0", 1), (10**6, 10**6), stride=(0, 0), data=bytes(4))
    assert read_state_dict(folder / "best.ckpt")["x"].shape == (10**6, 10**6)


def test_one_number_is_not_spread_over_a_layer(folder):
    # If the config asks for that many numbers, filling the network would take memory for numbers
    # that the file does not hold.
    resave(
        folder,
        lambda state: state.update(
            {name: torch.zeros(1).expand(value.shape) for name, value in state.items()}
        ),
    )
    assert fit_error(folder).endswith(", but holds fewer numbers")


def test_compressed_checkpoints_are_refused(folder):
    """Bytes could become a thousand times as many."""
    path = folder / "best.ckpt"
    with zipfile.ZipFile(path) as file:
        content = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    assert refusal(path) == "not a readable checkpoint: it is compressed, which checkpoints are not"


def test_members_that_share_their_bytes_are_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", pickle.dumps({"state_dict": {}}))
        file.writestr("a/data/0", bytes(10**6))
        first = file.infolist()[1]
        for i in range(1, 100):  # a hundred names for one megabyte
            again = copy.copy(first)
            again.filename = f"a/data/{i}"
            file.filelist.append(again)
    assert re.fullmatch(
        r"not a readable checkpoint: it says it holds 1000000[0-9]{2} bytes in 10[0-9]{5}",
        refusal(path),
    )


def test_a_pickle_that_numbers_its_parts_into_the_billions_is_refused(tmp_path):
    path = archive(
        tmp_path / "a.ckpt", b"\x80\x02}r\xff\xff\xff\x7f."
    )  # the reader would make a table of 16 GB
    assert refusal(path) == "not a readable checkpoint: it numbers part 2147483647 of 2"


def test_files_that_are_no_checkpoint_are_named(tmp_path):
    path = tmp_path / "a.ckpt"
    assert refusal(path) == "no such checkpoint"
    path.write_text("just text")
    assert refusal(path) == "not a readable checkpoint: File is not a zip file"
    path.write_bytes(b"")
    assert refusal(path) == "not a readable checkpoint: File is not a zip file"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    assert refusal(path) == "a zip file, but not a PyTorch checkpoint"
    path.unlink()
    path.mkdir()
    assert refusal(path) == "no such checkpoint"


def test_the_format_before_zip_files_is_refused(tmp_path):
    torch.save(
        {"state_dict": {"x": torch.ones(1)}},
        tmp_path / "a.ckpt",
        _use_new_zipfile_serialization=False,
    )
    assert refusal(tmp_path / "a.ckpt") == "not a readable checkpoint: File is not a zip file"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(folder, share):
    path = folder / "best.ckpt"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert refusal(path).startswith("not a readable checkpoint: ")


def test_a_file_with_flipped_bytes_is_refused(folder):
    path = folder / "best.ckpt"
    content = bytearray(path.read_bytes())
    where = content.index(b"state_dict") + 1
    content[where : where + 200] = bytes(200)
    path.write_bytes(bytes(content))
    assert refusal(path).startswith("not a readable checkpoint: ")


@pytest.mark.parametrize(
    "content",
    [
        {"weights": {}},
        {"state_dict": None},
        {"state_dict": [1, 2]},
        {"state_dict": {"x": 3}},
        {"state_dict": {"x": OmegaConf.create({"a": 1})}},
        [torch.ones(1)],
        torch.ones(1),
        None,
    ],
)
def test_a_checkpoint_without_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.ckpt")
    assert refusal(tmp_path / "a.ckpt") == "holds no state_dict of tensors"


# ---- networks


def test_a_network_is_filled_and_ready(folder):
    network = load_network(read_training_config(folder))
    assert not network.training
    saved = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    assert {f"model.{name}" for name in network.state_dict()} == set(saved)
    assert all(
        torch.equal(value, saved[f"model.{name}"]) for name, value in network.state_dict().items()
    )


@torch.no_grad()
def test_a_network_that_sees_brightness(folder):
    """The tests of whole pipelines rest on this model: node 0 is bright, node 1 is dark."""
    image = torch.zeros(1, 1, 6, 8)
    image[0, 0, 3, 4] = 0.75
    maps = load_network(read_training_config(folder))(image)["confmaps"][0]
    expected = torch.zeros(3, 4)
    expected[1, 2] = 0.75
    torch.testing.assert_close(maps, torch.stack([expected, 1 - expected]))


@pytest.mark.parametrize(
    "kind",
    ["centroid", "centered_instance", "bottomup", "multi_class_bottomup", "multi_class_topdown"],
)
def test_every_kind_is_loaded(make_model, training_config, kind):
    heads = {
        "centroid": [1],
        "bottomup": [2, 2],
        "multi_class_bottomup": [2, 2],
        "multi_class_topdown": [2, 2],
    }.get(kind, [2])
    folder = make_model(kind, {str(i): [[0.0, 0.5]] * rows for i, rows in enumerate(heads)})
    assert len(load_network(read_training_config(folder)).head_layers) == len(heads)


def fit_error(folder):
    with pytest.raises(RunError) as caught:
        load_network(read_training_config(folder))
    message = str(caught.value)
    assert message.startswith(f"{folder / 'best.ckpt'}: ")
    return message.removeprefix(f"{folder / 'best.ckpt'}: ")


HEAD = "head_layers.0.SingleInstanceConfmapsHead.0"


def test_missing_weights_are_named(folder):
    resave(folder, lambda state: state.pop(f"model.{HEAD}.bias"))
    assert (
        fit_error(folder)
        == f"weights do not fit the network of training_config.yaml: lacks {HEAD}.bias"
    )


def test_unknown_weights_are_named(folder):
    resave(
        folder,
        lambda state: state.update({"model.z.extra": torch.ones(1), "model.z.more": torch.ones(1)}),
    )
    assert (
        fit_error(folder)
        == "weights do not fit the network of training_config.yaml: has unknown z.extra and 1 more"
    )


def test_both_are_named_together(folder):
    resave(
        folder, lambda state: state.update({f"model.{HEAD}.scale": state.pop(f"model.{HEAD}.bias")})
    )
    assert fit_error(folder).endswith(f": lacks {HEAD}.bias; has unknown {HEAD}.scale")


def test_weights_of_another_shape_are_named_with_both(folder):
    resave(folder, lambda state: state.update({f"model.{HEAD}.weight": torch.ones(5, 1, 1, 1)}))
    assert (
        fit_error(folder) == f"{HEAD}.weight has shape (5, 1, 1, 1), the network needs (2, 1, 1, 1)"
    )


def test_the_deepest_width_is_that_of_the_weights(tmp_path, training_config):
    import yaml

    from sleap_lab.networks import build_network

    # Early versions truncate at every level: int(int(10 * 1.5) * 1.5) = 22. Today's rule gives the
    # same, int(10 * 1.5^2) = 22, also for 7: int(int(7 * 1.5) * 1.5) = 15 and int(7 * 1.5^2) = 15.
    # Any other width shows that the weights decide.
    config = training_config("centroid", filters=7, filters_rate=1.5, max_stride=4)
    network = build_network(config, middle_channels=14)
    (tmp_path / "training_config.yaml").write_text(yaml.safe_dump(config))
    torch.save(
        {"state_dict": {f"model.{name}": value for name, value in network.state_dict().items()}},
        tmp_path / "best.ckpt",
    )
    assert load_network(read_training_config(tmp_path)).backbone.middle_channels == 14


@pytest.mark.parametrize(
    "unet",
    [
        {"filters": None},
        {"filters": "many"},
        {"filters_rate": [1]},
        {"kernel_size": "3"},
        {"max_stride": 3, "output_stride": 5},
        {"in_channels": -1},
    ],
)
def test_a_config_that_describes_no_network_is_named(folder, unet):
    import yaml

    file = folder / "training_config.yaml"
    config = yaml.safe_load(file.read_text())
    config["model_config"]["backbone_config"]["unet"] |= unet
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(
        RunError,
        match=r"training_config\.yaml: (model_config does not describe a network \(.+\)"
        r"|head confmaps: .* none of the backbone's)",
    ):
        load_network(read_training_config(folder))


# ---- backbones


BACKBONES = {
    "unet": {"filters": 4, "max_stride": 8},
    "convnext": {"arch": {"depths": [1, 1, 1, 1], "channels": [2, 4, 6, 8]}},
    "swint": {
        "arch": {"embed": 2, "depths": [1, 2, 1, 1], "num_heads": [1, 1, 2, 2]},
        "window_size": 3,
    },
}
LAYERS = {  # one inside of each part, and what it is when the config asks for other sizes
    "unet": ("backbone.encoders.0.encoder_stack.1.blocks.stack0_enc1_conv0.weight", {"filters": 5}),
    "convnext": (
        "backbone.enc.features.3.0.layer_scale",
        {"arch": {"depths": [1, 1, 1, 1], "channels": [2, 5, 6, 8]}},
    ),
    "swint": ("backbone.enc.features.3.1.attn.relative_position_bias_table", {"window_size": 4}),
}


@pytest.fixture
def backbone_folder(tmp_path, training_config):
    """Return a function that writes a model folder with a small backbone and random weights."""
    import yaml

    from sleap_lab.networks import build_network

    def make(backbone, *, seed=0, kind="single_instance", **other):
        """Write a model.

        `other` keys of the backbone go to the config only, so that it does not fit the weights.
        """
        config = training_config(kind)
        sections = config["model_config"]["backbone_config"] = {
            "unet": None,
            backbone: {"output_stride": 2, **BACKBONES[backbone]},
        }
        torch.manual_seed(seed)
        state = build_network(config).state_dict()
        sections[backbone] |= other
        folder = tmp_path / f"{backbone}{seed}"
        folder.mkdir()
        (folder / "training_config.yaml").write_text(yaml.safe_dump(config))
        torch.save(
            {"state_dict": {f"model.{name}": value for name, value in state.items()}},
            folder / "best.ckpt",
        )
        return folder

    return make


@torch.no_grad()
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_is_filled(backbone_folder, backbone):
    folder = backbone_folder(backbone)
    network = load_network(read_training_config(folder))
    saved = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    assert {f"model.{name}" for name in network.state_dict()} == set(saved)
    assert all(
        torch.equal(value, saved[f"model.{name}"]) for name, value in network.state_dict().items()
    )
    assert network(torch.rand(1, 1, 32, 64))["confmaps"].shape == (1, 2, 16, 32)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_missing_layer_of_a_backbone_is_named(backbone_folder, backbone):
    folder, (layer, _) = backbone_folder(backbone), LAYERS[backbone]
    resave(folder, lambda state: state.pop(f"model.{layer}"))
    assert (
        fit_error(folder)
        == f"weights do not fit the network of training_config.yaml: lacks {layer}"
    )


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_layer_of_another_shape_is_named(backbone_folder, backbone):
    folder, (layer, _) = backbone_folder(backbone), LAYERS[backbone]
    shape = tuple(
        torch.load(folder / "best.ckpt", weights_only=True)["state_dict"][f"model.{layer}"].shape
    )
    resave(folder, lambda state: state.update({f"model.{layer}": torch.ones(7)}))
    assert fit_error(folder) == f"{layer} has shape (7,), the network needs {shape}"


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_config_of_another_size_than_the_weights_is_refused(backbone_folder, backbone):
    _, other = LAYERS[backbone]
    assert re.match(
        r"backbone\.\S+ has shape \(.+\), the network needs \(.+\)$",
        fit_error(backbone_folder(backbone, **other)),
    )


@pytest.mark.parametrize("backbone", ["convnext", "swint"])
def test_a_config_of_another_depth_than_the_weights_is_refused(backbone_folder, backbone):
    folder = backbone_folder(backbone, arch=BACKBONES[backbone]["arch"] | {"depths": [1, 2, 2, 1]})
    assert re.match(
        r"weights do not fit .+: lacks backbone\.enc\.features\.\d\.1\.\S+ and \d+ more$",
        fit_error(folder),
    )


@pytest.mark.parametrize(
    ("backbone", "other", "key"),
    [
        (
            "unet",
            {"convs_per_block": 10**9},
            "unet.convs_per_block: got 1000000000; accepted: at most 64",
        ),
        ("unet", {"max_stride": 2**400}, "unet.max_stride: got 2582249878"),
        ("unet", {"stem_stride": 2**20}, "unet.stem_stride: got 1048576; accepted: at most 1024"),
        (
            "convnext",
            {"arch": BACKBONES["convnext"]["arch"] | {"depths": [10**8] * 4}},
            "convnext.arch.depths: got [100000000, ",
        ),
        ("swint", {"window_size": 10**5}, "swint.window_size: got 100000; accepted: at most 64"),
    ],
)
def test_networks_of_endless_layers_are_not_built(backbone_folder, backbone, other, key):
    folder = backbone_folder(backbone, **other)
    with pytest.raises(RunError) as caught:
        load_network(read_training_config(folder))
    assert str(caught.value).startswith(
        f"{folder / 'training_config.yaml'}: model_config.backbone_config.{key}"
    )


@pytest.mark.parametrize("backbone", ["convnext", "swint"])
def test_a_network_of_any_size_costs_no_memory_before_its_weights_are_seen(
    backbone_folder, backbone
):
    large = BACKBONES[backbone]["arch"] | {"channels": [10**6] * 4, "embed": 10**6}
    assert " has shape " in fit_error(backbone_folder(backbone, arch=large))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("share", [0.2, 0.99])
def test_a_backbone_that_was_cut_off_is_refused(backbone_folder, backbone, share):
    path = backbone_folder(backbone) / "best.ckpt"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert refusal(path).startswith("not a readable checkpoint: ")


@pytest.mark.parametrize(
    "change", [lambda index: index + 1000, lambda index: index.flip(0), lambda index: index * 0.5]
)
def test_positions_that_no_window_has_are_refused(backbone_folder, change):
    folder, name = (
        backbone_folder("swint"),
        "backbone.enc.features.1.0.attn.relative_position_index",
    )
    resave(folder, lambda state: state.update({f"model.{name}": change(state[f"model.{name}"])}))
    assert fit_error(folder) == f"{name} is a fixed table of the network, but holds other numbers"


def test_weights_of_half_precision_are_widened(backbone_folder):
    folder = backbone_folder("convnext")
    resave(
        folder, lambda state: state.update({name: value.half() for name, value in state.items()})
    )
    assert {
        value.dtype for value in load_network(read_training_config(folder)).state_dict().values()
    } == {torch.float32}


@pytest.mark.parametrize(
    ("backbone", "other"),
    [
        ("convnext", {"arch": {"depths": [1, 1, 1], "channels": [2, 4, 6, 8]}}),
        ("convnext", {"arch": {"depths": [1, 1, 1, 1]}}),
        ("convnext", {"arch": "tiny"}),
        ("convnext", {"stem_patch_stride": 0}),
        ("convnext", {"model_type": ["tiny"]}),
        ("swint", {"arch": {"embed": 2, "depths": [1, 2, 1, 1], "num_heads": [3, 3, 3, 3]}}),
        ("swint", {"window_size": "large"}),
        ("swint", {"filters_rate": None}),
    ],
)
def test_a_section_that_describes_no_backbone_is_named(backbone_folder, backbone, other):
    folder = backbone_folder(backbone, **other)
    with pytest.raises(
        RunError, match=r"training_config\.yaml: model_config does not describe a network \(.+\)$"
    ):
        load_network(read_training_config(folder))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(
    ("option", "part"), [("backbone_ckpt_path", "backbone"), ("head_ckpt_path", "head_layers")]
)
def test_parts_of_every_backbone_can_be_replaced(backbone_folder, backbone, option, part):
    folder, other = backbone_folder(backbone), backbone_folder(backbone, seed=1)
    plain, replacement = (
        load_network(read_training_config(path)).state_dict() for path in (folder, other)
    )
    found = load_network(
        read_training_config(folder), **{option: str(other / "best.ckpt")}
    ).state_dict()
    for name, value in found.items():
        assert torch.equal(value, (replacement if name.startswith(part) else plain)[name]), name


def test_a_backbone_of_another_kind_replaces_nothing(backbone_folder):
    folder, other = backbone_folder("convnext"), backbone_folder("unet") / "best.ckpt"
    with pytest.raises(
        RunError, match=rf"{other}: holds no backbone weights of the network in {folder}"
    ):
        load_network(read_training_config(folder), backbone_ckpt_path=str(other))


# ---- other weights


@pytest.fixture
def other(make_model):
    """A checkpoint of the same network with all weights 7."""
    folder = make_model("single_instance", {"confmaps": BRIGHT_AND_DARK}, name="other")
    return resave(
        folder,
        lambda state: state.update(
            {name: torch.full_like(value, 7.0) for name, value in state.items()}
        ),
    )


@pytest.mark.parametrize(
    ("option", "replaced"),
    [
        ({"backbone_ckpt_path": True}, ["backbone"]),
        ({"head_ckpt_path": True}, ["head_layers"]),
        ({}, []),
    ],
)
def test_only_the_part_that_was_asked_for_is_replaced(folder, other, option, replaced):
    network = load_network(read_training_config(folder), **dict.fromkeys(option, str(other)))
    plain = load_network(read_training_config(folder)).state_dict()
    for name, value in network.state_dict().items():
        expected = torch.full_like(value, 7.0) if name.split(".")[0] in replaced else plain[name]
        assert torch.equal(value, expected), name


def test_both_parts_may_be_replaced(folder, other):
    network = load_network(
        read_training_config(folder), backbone_ckpt_path=str(other), head_ckpt_path=str(other)
    )
    assert all((value == 7).all() for value in network.state_dict().values())


def test_other_weights_of_another_shape_are_named_by_their_file(folder, other):
    resave(other.parent, lambda state: state.update({f"model.{HEAD}.bias": torch.ones(3)}))
    with pytest.raises(
        RunError,
        match=rf"other/best\.ckpt: {HEAD}\.bias has shape \(3,\), the network needs \(2,\)",
    ):
        load_network(read_training_config(folder), head_ckpt_path=str(other))


@pytest.mark.parametrize(
    ("option", "part"), [("backbone_ckpt_path", "backbone"), ("head_ckpt_path", "head_layers")]
)
def test_other_weights_that_hold_none_of_the_network_are_refused(folder, other, option, part):
    path = other.with_name("nothing.ckpt")
    torch.save({"state_dict": {f"model.{part}.of.another.network": torch.ones(1)}}, path)
    with pytest.raises(
        RunError, match=rf"nothing\.ckpt: holds no {part} weights of the network in {folder}"
    ):
        load_network(read_training_config(folder), **{option: str(path)})


# ---- the reference


@pytest.mark.parametrize(
    "name",
    [
        "minimal_instance_single_instance",
        "minimal_instance_centroid",
        "minimal_instance_centered_instance",
        "minimal_instance_bottomup",
        "minimal_instance_multiclass_bottomup",
        "minimal_instance_multiclass_centered_instance",
    ],
)
def test_trained_models_are_loaded(reference, name):
    config = read_training_config(reference / "models" / name)
    network = load_network(config)
    assert network.outputs.keys() == config.heads.keys()
