import pytest

from sleap_lab.checkpoints.keras_weights import read_layers
from sleap_lab.checkpoints.legacy_config import read_legacy_config
from sleap_lab.checkpoints.torch_weights import read_state_dict
from sleap_lab.checkpoints.training_config import read_yaml_config
from sleap_lab.errors import SleapLabError
from sleap_lab.evaluation.files import load_metrics
from sleap_lab.files.pointers import is_pointer
from sleap_lab.media.labels import read_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import DataConfig
from sleap_lab.settings.inputs import find_inputs

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:c82362f6\nsize 93340\n"


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.slp", read_labels),
        ("best.ckpt", read_state_dict),
        ("best_model.h5", read_layers),
        ("training_config.yaml", lambda path: read_yaml_config(path.parent)),
        ("training_config.json", lambda path: read_legacy_config(path.parent)),
        ("metrics.npz", load_metrics),
        ("videos.txt", lambda path: find_inputs(str(path))),
        *(
            (f"a{suffix}", lambda path: open_source(DataConfig(path=str(path))))
            for suffix in (".mp4", ".seq", ".h5", ".png", ".tif", ".slp")
        ),
    ],
)
def test_a_pointer_is_called_so_whatever_it_stands_for(tmp_path, name, read):
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(SleapLabError) as caught:
        read(tmp_path / name)
    assert "it is a Git LFS pointer, not the file itself; fetch that with: git lfs pull" in str(
        caught.value
    )
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_are_no_pointers(tmp_path):
    for content in ("", "version https://git", "# version https://git-lfs.github.com/spec/v1"):
        (tmp_path / "a").write_text(content)
        assert not is_pointer(tmp_path / "a")
