"""Other applications of Hydra in the same process compose as they do without this package."""

import pickle
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.errors import OverrideParseException
from hydra.types import RunMode
from hydra.version import VersionBase
from omegaconf import OmegaConf

from sleap_lab.errors import ConfigError
from sleap_lab.settings.application import Configs, hydra_application, hydra_of
from sleap_lab.settings.compose import compose_config, compose_node, find_configs
from sleap_lab.settings.jobs import check_jobs

FOREIGN = {
    "config.yaml": (
        "defaults: [schema, tracker: flow, _self_]\n"
        "a: none\nrun_name: 2024_01_05\ndata: {path: 1:30}\nx: null\n"
    ),
    "schema.yaml": "colour: red\n",
    "tracker/flow.yaml": "window: 007\n",
}
"""An application with names of this package, and with values that this one reads otherwise."""
WORDS = ["a=2024_01_05", "data.path=1e5", "colour=off"]
COMPOSED = {
    "colour": "off",
    "tracker": {"window": 7},  # octal
    "a": 20240105,
    "run_name": 20240105,
    "data": {"path": 100000.0},
    "x": None,
}
OURS = ["data.path=labels.slp", "model=none", "tracker=fixed_window", "logger.run_name=2024_01_05"]


@pytest.fixture(autouse=True)
def labels(tmp_path, monkeypatch):
    """A working directory with a file that passes for labels: what is composed is not opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.slp").touch()


@pytest.fixture
def foreign(tmp_path):
    """Folder with the configs of another application."""
    for name, text in FOREIGN.items():
        path = tmp_path / "foreign" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path / "foreign")


@pytest.fixture(autouse=True)
def store(monkeypatch):
    """Hydra's store of configs, whose entries at the top are those of before after the test."""
    found = ConfigStore.instance()
    monkeypatch.setattr(found, "repo", dict(found.repo))
    return found


def composed():
    """Return what an application that has been initialized makes of its words."""
    with pytest.raises(OverrideParseException):
        compose("config", ['x={"q":1}'])
    return OmegaConf.to_container(compose("config", WORDS))


def in_thread(function):
    """Return what a function returns that another thread runs."""
    found = []
    thread = Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def compose_ours():
    """Compose a run and a sweep, and let configs of a user's own be found."""
    Path("mine").mkdir(exist_ok=True)
    Path("mine/best.yaml").write_text("tracker: {max_tracks: 4}\n")
    assert compose_config(OURS)[0].logger.run_name == "2024_01_05"
    check_jobs(
        [*OURS, "tracker.max_tracks=2,3"], multirun=True, configs=find_configs("best", "mine")
    )


def test_other_applications_compose_as_without_this_package(foreign):
    with initialize_config_dir(foreign, version_base="1.3"):
        assert composed() == COMPOSED
        compose_ours()
        assert composed() == COMPOSED
    compose_ours()
    with initialize_config_dir(foreign, version_base="1.3"):
        assert composed() == COMPOSED


def test_they_do_so_while_this_package_composes_in_another_thread(foreign):
    with (
        initialize_config_dir(foreign, job_name="theirs", version_base="1.2"),
        hydra_application() as hydra,
    ):
        assert in_thread(composed) == COMPOSED
        node = compose_node(hydra, Configs(), OURS)
        with hydra_of(node):
            assert in_thread(composed) == COMPOSED
            assert in_thread(lambda: HydraConfig.initialized()) is False
            assert HydraConfig.get().job.name == "sleap_lab"
        theirs = in_thread(lambda: compose("config", return_hydra_config=True)).hydra
    assert (theirs.job.name, theirs.runtime.version_base) == ("theirs", "1.2")
    assert (node.hydra.job.name, node.hydra.runtime.version_base) == ("sleap_lab", "1.3")
    assert node.logger.run_name == "2024_01_05"


def test_two_threads_may_compose_at_once():
    with hydra_application() as hydra:
        node = compose_node(hydra, Configs(), [*OURS, "output.path='${hydra:job.name}'"])
        with hydra_of(node):
            in_thread(compose_ours)
            assert node.output.path == "sleap_lab"


def test_what_an_application_has_set_stays(tmp_path, store):
    """Its name, Hydra's version, its settings, and a resolver and configs with names of ours."""
    OmegaConf.register_new_resolver("demo", lambda name: f"theirs: {name}", replace=True)
    Plugins.instance()  # which store their configs
    before = store.list("")
    store.store("schema", {"colour": "green"})
    store.store("config", {"weight": 3})
    store.store("flow", {"window": 4}, group="tracker")
    try:
        with initialize_config_dir(str(tmp_path), job_name="theirs", version_base="1.2"):
            application = GlobalHydra.instance().hydra
            compose_ours()
            config = compose_config(["experiment=demo"])[0]
            assert GlobalHydra.instance().hydra is application
            own = compose("schema", return_hydra_config=True)
    finally:
        made = OmegaConf.create({"a": "${demo:clip}"}).a
        OmegaConf.clear_resolver("demo")
    assert made == "theirs: clip"
    assert config.data.path.endswith("clip.mp4")
    assert (own.hydra.job.name, own.hydra.runtime.version_base) == ("theirs", "1.2")
    assert own.colour == "green"
    assert store.load("schema.yaml").node == {"colour": "green"}
    assert store.list("") == sorted([*before, "config.yaml", "schema.yaml", "tracker"])


def test_hydra_itself_is_as_it_was():
    compose_ours()
    assert OverridesParser.create().parse_override("logger.run_name=2024_01_05").value() == 20240105
    assert not [kind for kind in Singleton._instances if kind.__module__.split(".")[0] != "hydra"]
    assert all(type(found) is kind for kind, found in Singleton._instances.items())
    sources = SourcesRegistry.instance().types.values()
    assert {source.__module__.split(".")[0] for source in sources} == {"hydra"}


def test_launchers_send_the_state_that_their_thread_sees(foreign):
    def base_and_name():
        sent = Singleton.get_state()["instances"]
        return str(sent[VersionBase].getbase()), sent[JobRuntime].get("name")

    with initialize_config_dir(foreign, job_name="theirs", version_base="1.2"):
        with hydra_application():
            assert base_and_name() == ("1.3", "sleap_lab")
            assert in_thread(base_and_name) == ("1.2", "theirs")
        assert base_and_name() == ("1.2", "theirs")


@pytest.mark.parametrize(("group", "word"), [("tracker", "tracker=dots"), ("lab", "+lab=dots")])
def test_an_option_that_only_the_store_has_is_refused_with_where_it_is_seen(group, word, store):
    store.repo[group] = {}
    store.store("dots", {"max_tracks": 4}, group=group)
    with pytest.raises(ConfigError, match=rf"^{group}=dots: .*; write {group}/dots\.yaml into a "):
        compose_config([*OURS, word])
    store.store("flow", {"max_tracks": 4}, group="tracker")
    assert compose_config([*OURS, "tracker=flow"])[0].tracker.max_tracks is None


def test_launchers_keep_their_own_defaults_elsewhere(store):
    Plugins.instance()
    node = compose_config([*OURS, "hydra/launcher=submitit_local"])[1]
    assert node.hydra.launcher.timeout_min == 365 * 24 * 60
    assert store.load("hydra/launcher/submitit_local.yaml").node.timeout_min == 60


SCRIPT = """
import sys
import hydra
from sleap_lab import run_experiment
from sleap_lab.settings.compose import compose_config

@hydra.main(config_path=sys.argv.pop(1), config_name="config", version_base="1.3")
def main(config):
    found = compose_config(OURS)[0].logger.run_name
    print(hydra.core.hydra_config.HydraConfig.get().job.name, config.a, config.run_name, found)

main()
"""


def test_a_script_may_be_an_application_of_its_own(foreign):
    Path("theirs.py").write_text(SCRIPT.replace("OURS", repr(OURS)))
    command = [sys.executable, "theirs.py", foreign, *WORDS, "hydra.output_subdir=null"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == "theirs 20240105 20240105 2024_01_05\n"


def test_a_process_of_a_launcher_reads_words_as_the_command_does():
    """Launchers send the loader to a process that has not imported this package."""
    Path("mine").mkdir()
    Path("mine/best.yaml").write_text("logger: {experiment_name: 12E4}\n")
    configs = find_configs("best", "mine")
    with hydra_application(configs) as hydra:
        settings = hydra.compose_config(configs.name, OURS[:2], run_mode=RunMode.MULTIRUN)
        Path("sent").write_bytes(pickle.dumps((hydra.config_loader, settings, OURS)))
    code = (
        "import pickle; loader, settings, words = pickle.load(open('sent', 'rb'));"
        "from hydra.core.plugins import Plugins; from hydra.core.utils import setup_globals;"
        "Plugins.instance(); setup_globals();"
        "node = loader.load_sweep_config(settings, words);"
        "print(node.logger.run_name, node.logger.experiment_name, node.model.kind)"
    )
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == "2024_01_05 12E4 none\n"
