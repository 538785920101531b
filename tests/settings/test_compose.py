import re
import shlex
from pathlib import Path

import pytest
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.hydra_config import HydraConfig
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sleap_lab.errors import ConfigError
from sleap_lab.experiment import run_experiment
from sleap_lab.settings.application import Configs
from sleap_lab.settings.compose import (
    chosen_options,
    compose_config,
    find_configs,
    shipped_options,
)
from sleap_lab.settings.config import GROUPS
from sleap_lab.settings.jobs import check_jobs
from sleap_lab.settings.overrides import (
    as_typed,
    expand_home,
    parse_overrides,
    quote,
    unknown_key,
    unquote,
)
from sleap_lab.settings.words import WordsParser


@pytest.fixture
def labels(tmp_path, monkeypatch):
    """A working directory with a file that passes for labels: what is composed is not opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.slp").touch()
    return ["data.path=labels.slp", "model=none", "tracker=fixed_window"]


def configs_of(overrides, **options):
    return [
        job.config for job in check_jobs(overrides, multirun=True, configs=Configs(**options)).jobs
    ]


def read_back(text):
    """Return the value of an override after Hydra's grammar and OmegaConf's interpolation."""
    value = WordsParser.create().parse_override(f"tune.key={text}").value()
    return OmegaConf.to_container(OmegaConf.create({"key": value}), resolve=True)["key"]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("output.path=${none:a}", "output.path: there is no resolver 'none', as in ${none:…}"),
        (
            "data.moved={a:'${demo:a}'}",
            "data.moved.a: there is no resolver 'demo', as in ${demo:…}; "
            "the one of this package is sleap_lab.demo",
        ),
        ("tracker.max_tracks=${none}", "tracker.max_tracks: Interpolation key 'none' not found"),
    ],
)
def test_an_interpolation_that_leads_nowhere_is_told_with_its_key(word, says, labels):
    with pytest.raises(ConfigError) as caught:
        compose_config([*labels, word])
    assert str(caught.value) == says


def test_an_interpolation_may_give_characters_that_overrides_would_have_to_quote(
    labels, monkeypatch
):
    monkeypatch.setenv("SLEAP_LAB_TEST", "a, (b) =c]")
    value = "${oc.env:SLEAP_LAB_TEST}"
    config = compose_config([*labels, f"output.path={value}", f"+logger.tags.day={value}"])[0]
    assert config.logger.tags == {"day": "a, (b) =c]"}
    assert Path(config.output.path).name == "a, (b) =c]"


def test_jobs_that_would_overwrite_each_other_are_refused(labels):
    with pytest.raises(ConfigError, match=r"output\.path: several jobs .* would write .*out\.slp"):
        check_jobs(
            [*labels, "output.path=out.slp", "tracker.tracking_window_size=2,3"], multirun=True
        )


# --- the home folder --------------------------------------------------------------------


@pytest.mark.parametrize("home", ["home/ann", "home/ann b, [c]"])
def test_paths_begin_in_the_home_folder(labels, tmp_path, monkeypatch, home):
    monkeypatch.setenv("HOME", str(home := tmp_path / home))
    for name in ("a", "b"):
        (home / name).mkdir(parents=True)
    (home / "v.mp4").touch()
    words = ["data.path=~/v.mp4", "model.paths=[~/a,~/b]", "output.path='~/new/p.slp'"]
    config, _ = compose_config(words)
    assert config.data.path == str(home / "v.mp4")
    assert config.model.paths == [str(home / "a"), str(home / "b")]
    assert config.output.path == str(home / "new/p.slp")


def test_paths_of_a_sweep_and_of_a_file_begin_there_too(labels, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    (tmp_path / "ann" / "m").mkdir(parents=True)
    (tmp_path / "ann" / "a.mp4").touch()
    (tmp_path / "lab" / "experiment").mkdir(parents=True)
    (tmp_path / "lab" / "experiment" / "box.yaml").write_text(
        "# @package _global_\ndata: {path: ~/a.mp4}\nmodel: {paths: [~/m]}\n"
        "hydra: {run: {dir: ~/runs/1}}\n"
    )
    checked = check_jobs(
        ["experiment=box"], multirun=False, configs=Configs(folder=str(tmp_path / "lab"))
    )
    assert checked.jobs[0].config.model.paths == [str(tmp_path / "ann" / "m")]
    assert checked.folder == tmp_path / "ann" / "runs" / "1"
    assert expand_home("data.path=~/a.mp4,~/b.mp4") == (
        f"data.path={quote(str(tmp_path / 'ann/a.mp4'))},{quote(str(tmp_path / 'ann/b.mp4'))}"
    )


@pytest.mark.parametrize(
    "word", ["~data.path", "data.path=a~/b", "data.path=~5", "data.path='~/a'", "cache=~x"]
)
def test_other_tildes_stay(word):
    assert expand_home(word) == word


# --- quoting ----------------------------------------------------------------------------

MEANINGFUL = st.text(st.sampled_from("ab1.=,:[]{}()'\"\\$ #@%~+-_/*?!&|<>;`ü\t\n"))
TEXTS = (
    st.text()
    | MEANINGFUL
    | st.sampled_from(
        ["null", "true", "1e3", "nan", "-inf", "1_000", "${now:%Y}", "\\${x}", "choice(1,2)", ""]
    )
)


@given(TEXTS)
@example("it's a \\'${path}\\")
@example("\\\\'")
@example("$\\{a}")
def test_quoted_text_comes_back_unchanged(text):
    assert read_back(quote(text)) == text
    assert unquote(quote(text)) == text


@given(st.lists(TEXTS, max_size=4))
def test_quoted_lists_come_back_unchanged(texts):
    assert read_back(quote(texts)) == texts


@given(st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False))
def test_quoted_values_keep_their_type(value):
    found = read_back(quote(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["models/unet", "a-b_c.d", "/videos/x.mp4"])
def test_plain_text_stays_readable(text):
    assert quote(text) == text


@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=3)
)
@example(["!'", "`'", "\\'", '"', "a 'b' c"])
def test_lines_for_a_shell_are_read_as_the_words_they_were(words):
    assert shlex.split(as_typed(words)) == words


def test_quotes_within_quotes_stay_readable():
    assert as_typed(["sleap-lab", "data.frames='0-5,7'"]) == "sleap-lab \"data.frames='0-5,7'\""


def test_a_path_with_every_meaningful_character_reaches_the_config(labels):
    name = "my data=1, [2] #3 @4 100% ü 'q' \"d\" back\\slash ${x} (p) {c} $HOME ~+!"
    config, _ = compose_config([*labels, f"logger.run_name={quote(name)}"])
    assert config.logger.run_name == name


def test_a_quoted_path_survives_a_sweep(labels):
    name = "a, b=[c] ${d} 'e' \\"
    configs = configs_of(
        [*labels, f"logger.run_name={quote(name)}", "tracker.tracking_window_size=2,3"]
    )
    assert [
        (config.logger.run_name, config.tracker.tracking_window_size) for config in configs
    ] == [(name, 2), (name, 3)]


# --- what is composed -------------------------------------------------------------------


def test_options_set_their_group_and_overrides_win(labels, tmp_path):
    config, node = compose_config(
        [
            *labels,
            "tracker=local_queues",
            "tracker.max_tracks=2",
            "data.frames='0-3,7'",
            "filters=overlap",
        ]
    )
    assert config.tracker.tracking
    assert (config.tracker.candidates_method, config.tracker.max_tracks) == ("local_queues", 2)
    assert config.filters.filter_overlapping
    assert config.data.frames == "0-3,7"
    assert config.data.path == str(tmp_path / "labels.slp")
    assert node.hydra.runtime.choices["tracker"] == "local_queues"


def test_further_options_come_from_a_config_dir(labels, tmp_path):
    (tmp_path / "my own, [1]" / "tracker").mkdir(parents=True)
    (tmp_path / "my own, [1]" / "tracker" / "ours.yaml").write_text(
        "tracking: true\ntracking_window_size: 9\n"
    )
    config, _ = compose_config([*labels, "tracker=ours"], config_dir="my own, [1]")
    assert config.tracker.tracking_window_size == 9


def test_options_of_a_package_may_change_between_two_runs(labels, tmp_path, monkeypatch):
    folder = tmp_path / "mylab_of_this_test" / "conf" / "tracker"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent, folder.parents[1]):
        (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    words = [
        *labels[:2],
        "tracker=mine",
        "hydra.searchpath=[pkg://mylab_of_this_test.conf]",
    ]
    for size in (3, 7):
        (folder / "mine.yaml").write_text(f"tracking: true\ntracking_window_size: {size}\n")
        assert compose_config(words)[0].tracker.tracking_window_size == size


def test_a_notebook_may_clear_the_resolvers_between_two_runs():
    compose_config(["experiment=demo"])
    OmegaConf.clear_resolvers()
    assert compose_config(["experiment=demo"])[0].data.path.endswith("clip.mp4")


def test_a_sweep_has_one_config_per_combination(labels):
    configs = configs_of([*labels, "tracker=fixed_window,flow", "tracker.tracking_window_size=2,3"])
    trackers = [config.tracker for config in configs]
    assert [(tracker.use_flow, tracker.tracking_window_size) for tracker in trackers] == [
        (False, 2), (False, 3), (True, 2), (True, 3),
    ]  # fmt: skip


def test_a_preset_can_bring_its_own_sweep(labels, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "search.yaml").write_text(
        "# @package _global_\n"
        "hydra:\n  sweeper:\n    params:\n      tracker.tracking_window_size: 2,3\n"
    )
    configs = configs_of([*labels, "experiment=search", "filters=none,overlap"], folder="mine")
    chosen = [
        (config.tracker.tracking_window_size, config.filters.filter_overlapping)
        for config in configs
    ]
    assert chosen == [(2, False), (2, True), (3, False), (3, True)]
    with pytest.raises(ConfigError, match="got 0; accepted: at least 1"):
        check_jobs(
            [*labels, "experiment=search", "tracker.max_tracks=0"],
            multirun=True,
            configs=Configs(folder="mine"),
        )


def configs(text, path="mine/experiment/box.yaml", name="config"):
    """Write an option or a primary config of the user's own, and return what finds it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return Configs(name, "mine")


HYDRAS = (
    "hydra: {mode: MULTIRUN, sweep: {dir: results, subdir: 'x/w${tracker.tracking_window_size}'}, "
    "sweeper: {params: {tracker.tracking_window_size: '3,5'}}}\n"
)


def test_settings_of_hydra_hold_in_a_preset(labels):
    found = configs(
        f"# @package _global_\ndefaults:\n  - override /hydra/launcher: joblib\n{HYDRAS}"
    )
    checked = check_jobs([*labels, "experiment=box"], multirun=False, configs=found)
    assert checked.multirun
    assert checked.folder == Path("results")
    assert [job.folder for job in checked.jobs] == ["x/w3", "x/w5"]
    assert (
        "Joblib"
        in compose_config([*labels, "experiment=box"], config_dir="mine")[1].hydra.launcher[
            "_target_"
        ]
    )
    found = configs(
        "# @package _global_\nhydra: {run: {dir: 'results/${tracker.tracking_window_size}'}}\n"
    )
    assert check_jobs([*labels, "experiment=box"], multirun=False, configs=found).folder == Path(
        "results/5"
    )


@pytest.mark.parametrize(
    "defaults", ["", "defaults:\n  - config\n  - override tracker: flow\n  - _self_\n"]
)
def test_a_primary_config_of_ones_own_is_the_one_that_is_used(labels, defaults):
    configs(f"{defaults}tracker: {{tracking: true, max_tracks: 4}}\n{HYDRAS}", "mine/ours.yaml")
    words = [
        *labels[:2],
        "tracker.min_match_points=1",
        "logger=mlflow,none",
        "hydra.sweep.subdir=${hydra.job.num}",
    ]
    checked = check_jobs(words, multirun=True, configs=find_configs("ours", "mine"))
    assert checked.folder == Path("results")
    assert [
        (job.config.tracker.max_tracks, job.config.tracker.min_match_points) for job in checked.jobs
    ] == [(4, 1)] * 4
    assert [job.config.tracker.tracking_window_size for job in checked.jobs] == [3, 3, 5, 5]


@pytest.mark.parametrize(
    ("name", "folder", "says"),
    [
        ("ours", "nowhere", "--config-dir: no such folder: nowhere"),
        ("other", "mine", "--config-name=other: there is no such config; no other.yaml in mine"),
        (
            "other",
            None,
            (
                "--config-name=other: there is no such config; "
                "give the folder of your own primary config with --config-dir"
            ),
        ),
        (
            "ours",
            "mine",
            (
                "--config-name=ours: its defaults list lacks the base config; "
                "begin it with: - config"
            ),
        ),
    ],
)
def test_a_primary_config_that_cannot_be_used_is_refused(labels, name, folder, says):
    configs("defaults:\n  - tracker: flow\n", "mine/ours.yaml")
    with pytest.raises(ConfigError, match=re.escape(says)):
        find_configs(name, folder)


def test_values_of_hydra_are_those_that_the_job_will_see(labels):
    HydraConfig.instance().cfg = None  # what another test may have left
    words = [
        *labels,
        "tracker.tracking_window_size=2,3",
        "output.path=${hydra:runtime.output_dir}/w${hydra:job.num}.slp",
    ]
    jobs = check_jobs([*words, "hydra.sweep.dir=s"], multirun=True).jobs
    assert [job.config.output.path for job in jobs] == [
        str(Path(f"s/{i}/w{i}.slp").absolute()) for i in (0, 1)
    ]
    first, second = (check_jobs(words, multirun=True).jobs for _ in range(2))
    assert first == second  # so that the same command finds its sweep again
    assert HydraConfig.instance().cfg is None


def test_options_can_be_chosen_by_a_pattern_and_folders_named_by_what_varies(labels):
    words = [
        *labels[:2],
        "tracker=glob([f*,l*])",
        "hydra.sweep.subdir=${hydra.job.override_dirname}",
    ]
    exclude = "hydra.job.config.override_dirname.exclude_keys=[data.path,model]"
    jobs = check_jobs([*words, exclude], multirun=True).jobs
    assert [job.folder for job in jobs] == [
        "tracker=fixed_window",
        "tracker=flow",
        "tracker=local_queues",
    ]
    with pytest.raises(ConfigError, match="is longer than the name of a folder can be"):
        check_jobs([*words, f"logger.run_name={'x' * 250}"], multirun=True)


def test_groups_of_ones_own_compose_and_unknown_keys_do_not(labels):
    found = configs(
        "# @package _global_\ntracker: {tracking_window_size: 9}\n", "mine/lab/munich.yaml"
    )
    (job,) = check_jobs([*labels, "+lab=munich"], multirun=False, configs=found).jobs
    assert job.config.tracker.tracking_window_size == 9
    configs("tracking_window_size: 9\n", "mine/lab/local.yaml")
    configs("# @package _global_\nwindw: 9\n", "mine/lab/wrong.yaml")
    for word, says in {
        "+lab=muenchen": (
            "lab=muenchen: there is no such option; accepted: local, munich, wrong. "
            "Did you mean 'munich'?"
        ),
        "+lab=local": "lab/local: begin the file with the line: # @package _global_",
        "+lab=wrong": "lab/wrong.yaml:2: windw: there is no such key.",
        "+lab.camera=3": "lab.camera: there is no such key.",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(says)):
            check_jobs([*labels, word], multirun=False, configs=found)


def test_what_only_an_evaluator_or_a_model_needs_goes_with_it(labels, capsys):
    (job,) = check_jobs(["experiment=demo", "evaluator=none"], multirun=False).jobs
    assert job.config.evaluator.ground_truth_path is None
    assert (
        "evaluator.ground_truth_path is not used: there is nothing to evaluate"
        in capsys.readouterr().err.replace("\n", " ")
    )
    (job,) = check_jobs(
        ["experiment=demo", "model=none", "data.path=labels.slp"], multirun=False
    ).jobs
    assert job.config.model.paths == []
    with pytest.raises(ConfigError, match="ground_truth_path is given, but nothing is evaluated"):
        check_jobs(
            ["experiment=demo", "evaluator=none", "evaluator.ground_truth_path=labels.slp"],
            multirun=False,
        )


def test_where_predictions_would_go_is_said_not_to_be_used_where_there_are_none(labels, capsys):
    words = [*labels, "model=none", "output.path=o.slp", "output.formats=[csv]"]
    evaluated = ["evaluator=oks", "evaluator.ground_truth_path=labels.slp"]
    (job,) = check_jobs([*words, "tracker=none", *evaluated], multirun=False).jobs
    assert (job.config.output.path, job.config.output.formats) == (None, ["slp"])
    said = " ".join(capsys.readouterr().err.split())
    for name in ("output.path", "output.formats"):
        assert f"{name} is not used: there is nothing to write, as nothing is predicted or" in said
    (job,) = check_jobs([*words, "tracker=fixed_window"], multirun=False).jobs
    assert job.config.output.formats == ["csv"]
    assert "is not used" not in capsys.readouterr().err


def test_a_file_for_metrics_needs_an_evaluator(labels):
    with pytest.raises(ConfigError, match="save_metrics is given, but nothing is evaluated; add "):
        check_jobs(
            [*labels, "model=none", "tracker=fixed_window", "evaluator.save_metrics=m.npz"],
            multirun=False,
        )


def test_every_group_has_options():
    assert set(shipped_options()) == {*GROUPS, "experiment"}
    assert {"video", "labels", "demo"} <= set(shipped_options()["data"])


# --- what is refused --------------------------------------------------------------------


NO_WINDW = "tracker.windw: there is no such key. Did you mean 'tracker.tracking_window_size'?"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        # keys
        ("tracker.windw=3", NO_WINDW),
        ("+tracker.windw=3", NO_WINDW),
        ("++tracker.windw=3", NO_WINDW),
        ("model.peak_treshold=0.1", "Did you mean 'model.peak_threshold'?"),
        ("tracker.batch_size=3", "Did you mean 'runtime.batch_size'?"),
        ("batch_size=3", "Did you mean 'runtime.batch_size'?"),
        ("tune.trials=3", "tune.trials: there is such a key for tuning only: sleap-lab tune …"),
        ("trakcer=flow", "trakcer: there is no such key. Did you mean 'tracker'?"),
        ("+colour=red", "colour: there is no such key. Accepted: "),
        ("runtime.xyz=1", "runtime.xyz: there is no such key. Accepted: runtime.device, "),
        ("paint.colour=red", "paint.colour: there is no such key. Groups: data, model, "),
        ("hydra.rn.dir=x", "hydra.rn: there is no such key. Did you mean 'hydra.run'?"),
        ("hydra.run.dri=x", "hydra.run.dri: there is no such key. Did you mean 'hydra.run.dir'?"),
        (
            "logger.tags.lab=west",
            "logger.tags.lab: entries are added one by one: +logger.tags.lab=VALUE",
        ),
        # options
        (
            "tracker=fixed_windw",
            "accepted: auto, bytetrack, fixed_window, flow, global, kalman, local_queues, none, "
            "ocsort. "
            "Did you mean 'fixed_window'?",
        ),
        ("experiment=dmo", "dmo"),
        ("experiment=null", "experiment: got null; accepted: crowd, demo, "),
        ("+logger.tags.lab=null", "logger.tags.lab: "),
        # values
        ("tracker.tracking_window_size=many", "tracker.tracking_window_size: Value 'many'"),
        (
            "tracker.tracking_window_size=0",
            "tracker.tracking_window_size: got 0; accepted: at least 1",
        ),
        (
            "tracker.features=keypoint",
            "got 'keypoint'; accepted: keypoints, centroids, bboxes, image. "
            "Did you mean 'keypoints'?",
        ),
        ("tracker.use_flow=maybe", "tracker.use_flow: "),
        ("model.paths={a: 1}", "model.paths: "),
        ("data.frames=5-x", "data.frames: cannot read '5-x'"),
        # the grammar
        (
            "data.path=a (1).mp4",
            "data.path: the value 'a (1).mp4' has characters with a meaning in overrides; "
            "quote it: ",
        ),
        (
            "data.path=a,b.mp4",
            "data.path: a,b.mp4 are several values; add -m to run each, or quote it: ",
        ),
        ("tracker.tracking_window_size=range(1,3)", "add -m to run each"),
        ("video.mp4", "'video.mp4' is neither a verb nor KEY=VALUE"),
        # combinations
        ("tracker=none", "model=none leaves nothing to do"),
        ("model.paths=[m]", "model.kind: none was asked for, but model.paths is given"),
        ("~tracker.tracking", "tracker.tracking: "),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(labels, override, says):
    with pytest.raises(ConfigError, match=re.escape(says)) as error:
        compose_config([*labels, override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "override", ["data.path=a (1).slp", "data.path=a,b.slp", "data.path=it's.slp"]
)
def test_the_quoting_that_is_proposed_works(labels, override, tmp_path):
    with pytest.raises(ConfigError) as error:
        compose_config([*labels, override])
    (proposed,) = shlex.split(str(error.value).partition("quote it: ")[2])
    (tmp_path / override.partition("=")[2]).touch()
    assert compose_config([*labels, proposed])[0].data.path == str(
        tmp_path / override.partition("=")[2]
    )


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("tracker.tracking_window_size=2,0", "got 0; accepted: at least 1"),
        ("tracker=fixed_window,local_queus", "Did you mean 'local_queues'?"),
        ("hydra.sweep.dri=x", "Did you mean 'hydra.sweep.dir'?"),
        (
            "tracker.features=keypoints,centroids",
            "tracker.scoring_method=oks cannot compare tracker.features=centroids",
        ),
    ],
)
def test_a_mistake_in_any_job_of_a_sweep_is_found_before_the_first(labels, override, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        check_jobs([*labels, override], multirun=True)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("hydra/launcher=jobbib", "hydra/launcher=jobbib: there is no such option; accepted: "),
        (
            "hydra/sweeper=nothing",
            (
                "hydra/sweeper=nothing: all jobs are known before the first one runs, "
                "so only basic can be used"
            ),
        ),
        ("hydra/sweeper=optuna", "-m KEY=A,B runs every combination, and sleap-lab tune searches"),
        (
            "hydra.sweeper._target_=lab.Sweeper",
            "hydra/sweeper: got Sweeper; all jobs are known before the first one runs",
        ),
        (
            "hydra.sweep.subdir=same",
            "hydra.sweep.subdir: jobs 0 and 1 would share 'same'; add ${hydra.job.num} to it",
        ),
        (
            "hydra.sweep.subdir=../${hydra.job.num}",
            "hydra.sweep.subdir: got '../0'; accepted: folders within that of the sweep",
        ),
        (
            "hydra.sweep.subdir=/${hydra.job.num}",
            "hydra.sweep.subdir: got '/0'; accepted: folders within that of the sweep",
        ),
        ("hydra.sweep.subdir='${oc.select:x,a}'", "jobs 0 and 1 would share 'a'"),
        (
            "hydra.sweep.subdir=.a/${hydra.job.num}",
            "hydra.sweep.subdir: got '.a/0'; accepted: folders within that of the sweep",
        ),
        (
            "hydra.sweep.subdir=${hydra.nothing}",
            "hydra.sweep.subdir: not known before the job runs",
        ),
    ],
)
def test_a_mistake_in_how_jobs_are_launched_is_found_before_the_first(labels, override, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        check_jobs([*labels, "tracker.tracking_window_size=2,3", override], multirun=True)


def test_a_launcher_that_is_not_installed_says_how_to_get_it(labels, monkeypatch):
    there = CachingConfigRepository.get_group_options
    monkeypatch.setattr(
        CachingConfigRepository,
        "get_group_options",
        lambda *words: [name for name in there(*words) if name != "joblib"],
    )
    with pytest.raises(
        ConfigError, match=re.escape("joblib comes with pip install 'sleap-lab[joblib]'")
    ):
        check_jobs([*labels, "hydra/launcher=joblib"], multirun=True)


@pytest.mark.parametrize("launcher", ["joblib", "mine"])
def test_a_launcher_that_a_file_chooses_is_refused_for_a_single_run(labels, launcher):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    own = Path("mine/hydra/launcher/mine.yaml")
    own.parent.mkdir(parents=True)
    own.write_text("defaults: [joblib]\nn_jobs: 2\n")
    found = configs(f"# @package _global_\ndefaults:\n  - override /hydra/launcher: {launcher}\n")
    words = [*labels, "experiment=box"]
    with pytest.raises(ConfigError, match=f"^hydra/launcher={launcher}, .* add -m"):
        check_jobs(words, multirun=False, configs=found)
    assert len(check_jobs(words, multirun=True, configs=found).jobs) == 1
    here = check_jobs([*words, "hydra/launcher=basic"], multirun=False, configs=found)
    assert not here.multirun


def test_a_launcher_is_refused_for_a_single_run(labels):
    with pytest.raises(ConfigError, match=r"^hydra/launcher=joblib: .* add -m$"):
        check_jobs([*labels, "hydra/launcher=joblib"], multirun=False)
    with pytest.raises(ConfigError, match=r"^hydra/launcher=joblib: run_experiment runs here"):
        run_experiment([*labels, "hydra/launcher=joblib"])


def test_jobs_say_what_they_override_and_where_they_go(labels):
    words = [
        *labels,
        "filters=none,overlap",
        "hydra/launcher=basic",
        "hydra.sweep.subdir='job ${hydra.job.num}'",
    ]
    jobs = check_jobs(words, multirun=True).jobs
    assert [job.overrides for job in jobs] == [
        [*labels, "filters=none"],
        [*labels, "filters=overlap"],
    ]
    assert [job.folder for job in jobs] == ["job 0", "job 1"]
    assert [
        job.folder for job in check_jobs([*labels, "filters=none,overlap"], multirun=True).jobs
    ] == ["0", "1"]


def test_unknown_keys_of_another_table_can_be_told():
    assert (
        unknown_key("hydra.rum", ["hydra.run", "hydra.sweep"])
        == "hydra.rum: there is no such key. Did you mean 'hydra.run'?"
    )


def test_overrides_are_parsed_one_by_one():
    assert [override.key_or_group for override in parse_overrides(["a.b=1", "+c=2", "~d"])] == [
        "a.b",
        "c",
        "d",
    ]


def test_chosen_options_are_those_of_the_package(labels):
    _, node = compose_config([*labels, "tracker=flow", "hydra/launcher=joblib"])
    chosen = chosen_options(node.hydra)
    assert chosen["tracker"] == "flow"
    assert chosen.keys() == GROUPS.keys() | {"experiment"}
