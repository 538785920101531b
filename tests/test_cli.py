import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import sleap_lab
from sleap_lab import cli
from sleap_lab.cli import verbs
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.settings.compose import shipped_options
from sleap_lab.settings.config import keys
from sleap_lab.settings.credentials import reveal
from sleap_lab.settings.flags import PARITY
from sleap_lab.settings.overrides import quote


@pytest.fixture(autouse=True)
def signals_as_they_were():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def asked(monkeypatch):
    """Replace Hydra; return the list of its calls: (overrides, command)."""
    calls = []

    def run(arguments, command):
        calls.append((arguments, command))
        return 0

    for module in ("words", "flag_verbs"):
        monkeypatch.setattr(f"sleap_lab.cli.{module}.run_words", run)
    return calls


def code_of(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return end.value.code


# --- what should not happen -----------------------------------------------------------


def broken(arguments):
    raise ZeroDivisionError("half\nof it")


def test_what_is_not_foreseen_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr(verbs, "run_sync", broken)
    assert code_of("sync") == 1
    expected = (
        "error: ZeroDivisionError: half of it "
        "(unexpected; debug=true shows where; please report it)\n"
    )
    assert capsys.readouterr().err == expected
    assert code_of("sync", "debug=true") == 1
    assert "in broken" in capsys.readouterr().err


# --- help -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(keys()))
def test_help_on_a_group_explains_every_key(name):
    page = cli.help_page([name.split(".")[0] if "." in name else "other"])
    assert f"\n  {name}=" in page
    assert " ".join(keys()[name].metadata["help"].split()) in " ".join(page.split())
    assert page in cli.help_page(["all"])
    assert cli.help_page([name]) == page


@pytest.mark.parametrize(("group", "names"), shipped_options().items(), ids=shipped_options())
def test_help_lists_every_option_of_every_group(group, names):
    assert f"  {group:<15}{', '.join(names)}" in " ".join(cli.help_page().split("\n" + " " * 17))
    for name in names:
        assert f"\n  {group}={name}\n      " in cli.help_page([group])


@pytest.fixture
def own_options(tmp_path):
    """A folder with an option of a group of the package, and one of a group of its own."""
    for name, text in (
        ("tracker/mice.yaml", "# Three mice in our box.\ntracking: true\n"),
        ("lab/munich.yaml", "# @package _global_\n# The box in Munich.\nverbose: true\n"),
        ("hydra/launcher/ours.yaml", "defaults: [joblib]\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return str(tmp_path)


def test_help_lists_the_options_of_a_folder_of_the_user(own_options, capsys):
    assert code_of("--config-dir", own_options, "--help") == 0
    page = capsys.readouterr().out
    assert "kalman, local_queues, mice, none, ocsort\n" in " ".join(page.split("\n" + " " * 17))
    assert "\n  +lab           munich\n" in page
    assert "launcher" not in page


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("tracker", "\n  tracker=mice\n      Three mice in our box.\n"),
        ("lab", "\n  +lab=munich\n      The box in Munich.\n"),
    ],
)
def test_help_on_a_group_explains_options_of_the_user(own_options, group, expected, capsys):
    for words in (
        ["--help", group, f"--config-dir={own_options}"],
        ["--config-dir", own_options, "--help", group],
    ):
        assert code_of(*words) == 0
        assert expected in capsys.readouterr().out


def test_help_for_a_folder_that_is_not_there_is_a_mistake(capsys):
    assert code_of("--help", "--config-dir=nowhere") == 2
    assert capsys.readouterr().err == "error: --config-dir: no such folder: nowhere\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--help", "all"],
        ["track", "-h"],
        ["eval", "-h"],
        ["tune", "-h"],
        ["compare", "-h"],
        ["reproduce", "-h"],
        ["info", "-h"],
        ["doctor", "-h"],
        ["sync", "-h"],
        ["cache", "-h"],
    ],
    ids=" ".join,
)
def test_help_fits_a_screen(words, capsys):
    assert code_of(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert words != ["--help"] or len(lines) <= 60


def test_an_unknown_group_gets_the_nearest(capsys):
    assert code_of("--help", "trackr") == 2
    assert "Did you mean 'tracker'?" in capsys.readouterr().err


def test_the_version_is_ours(capsys):
    assert code_of("--version") == 0
    assert capsys.readouterr().out == f"sleap-lab {sleap_lab.__version__}\n"


@pytest.mark.parametrize(
    ("word", "verb"), [("trac", "track"), ("evaluate", "eval"), ("synk", "sync")]
)
def test_a_misspelt_verb_gets_the_nearest(word, verb, capsys):
    assert code_of(word, "-i", "a.mp4") == 2
    assert capsys.readouterr().err == (
        f"error: '{word}' is neither a verb nor KEY=VALUE; see sleap-lab --help. "
        f"Did you mean '{verb}'?\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--cfg job --info", "--cfg: cannot be combined with --info; leave one of them out"),
        ("-m --cfg job", "--cfg: cannot be combined with --multirun; leave one of them out"),
        ("--info --resolve", "--resolve: is of use with --cfg only; add --cfg job"),
        ("data=demo --package tracker", "--package: is of use with --cfg only; add --cfg job"),
    ],
)
def test_options_of_hydra_that_contradict_each_other_are_refused(words, says, capsys):
    assert code_of(*words.split()) == 2
    assert capsys.readouterr().err == f"error: {says}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("tracker.windw=3", "tracker.windw: there is no such key."),
        ("tracker=flow,kalman", "tracker=flow,kalman: several values; --cfg tells of one"),
        ("output.path=${none:a} --resolve", "there is no resolver 'none', as in ${none:…}"),
        ("--package tracker.none", "--package=tracker.none: the config has no such key"),
    ],
)
def test_a_mistake_is_one_line_where_the_config_is_only_printed(words, says, capsys):
    assert code_of(*words.split(), "--cfg", "job") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {says}")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["--help"], ["-h"], ["help"], ["data.path=a.mp4", "-h"]], ids=" ".join
)
def test_help_ends_with_success(words, capsys):
    assert code_of(*words) == 0
    assert capsys.readouterr().out == cli.help_page() + "\n"


def test_nothing_to_do_shows_the_page_and_is_a_mistake(capsys):
    assert code_of() == 2
    assert capsys.readouterr().out == cli.help_page() + "\n"


@pytest.mark.parametrize("verb", ["track", "eval"])
def test_verbs_have_their_own_help(verb, capsys):
    assert code_of(verb, "--help") == 0
    assert capsys.readouterr().out.startswith(f"sleap-lab {verb} FLAGS")


# --- exit codes -------------------------------------------------------------------------


def raising(error):
    def dispatch(arguments):
        raise error

    return dispatch


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ConfigError("data.path: [no] such file"), 2, "error: data.path: [no] such file\n"),
        (RunError("model.paths: broken"), 1, "error: model.paths: broken\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_are_one_line_and_a_code(monkeypatch, capsys, error, code, says):
    monkeypatch.setattr(cli, "_dispatch", raising(error))
    assert code_of("data.path=a.mp4") == code
    assert capsys.readouterr().err == says


def test_a_request_to_terminate_is_an_interruption(monkeypatch, capsys):
    monkeypatch.setattr(cli, "_dispatch", lambda arguments: signal.raise_signal(signal.SIGTERM))
    assert code_of("data.path=a.mp4") == 130


def test_a_reader_that_leaves_early_is_no_traceback():
    code = (
        "import sys, sleap_lab.cli as cli; cli.help_page = lambda *words: 'x' * 2**20; "
        "cli.main(['--help'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trak", "-i", "a.mp4"], "'trak' is neither a verb nor KEY=VALUE"),
        (["train", "-c", "a.yaml"], "train: sleap-lab does not train; sleap-nn train does"),
        (["export", "models/a"], "export: sleap-lab does not export; what sleap-nn export writes"),
        (["system"], "system: see sleap-lab doctor"),
        (
            ["--data_path", "a.mp4"],
            "--data_path: there is no such option; see sleap-lab --help, "
            "and for sleap-nn's flags sleap-lab track --help",
        ),
        (["data.path=a.mp4", "--opton"], "--opton: there is no such option; see sleap-lab --help"),
        (["a.mp4"], "'a.mp4' is neither a verb nor KEY=VALUE; see sleap-lab --help"),
        (["--config-dir", "nowhere", "data.path=a.mp4"], "--config-dir: no such folder: nowhere"),
        (["data.path=a.mp4"], "data.path: no such file: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_one_line(words, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    assert code_of(*words, "model.paths=[model]") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {says}")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]  # and nothing was begun


# --- track and eval ---------------------------------------------------------------------

ONLY_TRACK = "runtime.queue_maxsize=8 logger=none report=none"
ONLY_EVAL = "model.kind=none evaluator.evaluate=true logger=none report=none"


@pytest.mark.parametrize(
    ("flags", "overrides"),
    [
        (
            "-i a.mp4 -m unet",
            f"{ONLY_TRACK} data.path=a.mp4 model.paths=[unet] output.path=a.predictions.slp",
        ),
        (
            "-i in/a.pkg.slp -m unet -o out/b.slp",
            f"{ONLY_TRACK} data.path=in/a.pkg.slp model.paths=[unet] output.path=out/b.slp",
        ),
        (
            "-i labels.slp -t",
            f"{ONLY_TRACK} data.path=labels.slp tracker.tracking=true model.kind=none "
            "output.path=labels.predictions.slp",
        ),
        (
            "-i a.mp4 -m unet -n 2 -t --post_connect_single_breaks",
            f"{ONLY_TRACK} data.path=a.mp4 model.paths=[unet] model.max_instances=2 "
            "tracker.tracking=true tracker.post_connect_single_breaks=true "
            "tracker.tracking_target_instance_count=2 tracker.max_tracks=2 "
            "output.path=a.predictions.slp",
        ),
        (
            "-i a.mp4 -m unet --integral_refinement None --queue_maxsize 3 logger=mlflow",
            "runtime.queue_maxsize=3 data.path=a.mp4 model.paths=[unet] "
            "model.integral_refinement=null output.path=a.predictions.slp "
            "report=none logger=mlflow",
        ),
    ],
    ids=lambda value: value.partition(" output")[0],
)
def test_track_asks_for_the_same_in_keys(flags, overrides, asked):
    assert code_of("track", *flags.split()) == 0
    ((found, _),) = asked
    assert set(found) == {f"{key}={quote(value)}" for key, value in PARITY.items()} | set(
        overrides.split()
    )


def test_a_folder_without_a_name_of_its_own_gives_the_predictions_one(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code_of("track", "-i", ".", "-m", "unet")
    assert f"output.path={tmp_path}.predictions.slp" in asked[0][0]


def test_eval_asks_for_the_same_in_keys(asked):
    assert (
        code_of(
            "eval",
            *[
                "-g",
                "truth.slp",
                "-p",
                "poses.slp",
                "-s",
                "metrics.npz",
                "--match_threshold",
                "0.5",
            ],
        )
        == 0
    )
    ((found, _),) = asked
    expected = (
        "evaluator.oks_stddev=0.05 evaluator.user_labels_only=false "
        "evaluator.match_threshold=0.5 evaluator.save_metrics=metrics.npz"
    )
    assert set(found) == set(
        f"{ONLY_EVAL} {expected} evaluator.ground_truth_path=truth.slp data.path=poses.slp".split()
    )


def test_overrides_beside_flags_have_the_last_word(asked):
    code_of("track", "tracker.tracking=false", "-i", "labels.slp", "-t", "report=html")
    ((found, _),) = asked
    assert found[-2:] == ["tracker.tracking=false", "report=html"]
    assert "report=none" not in found


def test_the_line_that_is_printed_is_what_is_done(asked, capsys):
    code_of("track", "-i", "my flies, [1]=a's ${x} #2.mp4", "-m", "models/a b")
    ((found, command),) = asked
    assert shlex.split(capsys.readouterr().out) == command == ["sleap-lab", *found]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("track", "track needs --model_paths (-m) to predict, or --tracking (-t)"),
        ("track -i a.mp4", "track needs --model_paths (-m) to predict, or --tracking (-t)"),
        ("track -m unet", "--data_path (-i) is missing"),
        ("track -t -i None", "--data_path (-i) is missing"),
        (
            "track -i a.mp4 --trackng",
            "--trackng: there is no such flag. Did you mean '--tracking'?",
        ),
        ("eval -p a.slp", "--ground_truth_path (-g) is missing"),
        ("eval -g a.slp", "--predicted_path (-p) is missing"),
    ],
)
def test_flags_that_are_not_enough(words, says, asked, capsys):
    assert code_of(*words.split()) == 2
    assert says in capsys.readouterr().err
    assert asked == []


# --- sync -------------------------------------------------------------------------------


def test_sync_may_log_elsewhere_and_knows_the_password_that_nobody_sees(
    monkeypatch, capsys, tmp_path
):
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sleap_lab.sweeps.sync.sync",
        lambda folders, outputs_root, tracking_uri: asked.append((folders, tracking_uri)) or {},
    )
    assert code_of("sync", "outputs/a", "logger.tracking_uri=https://ann:s3cret@host") == 0
    assert asked == [([Path("outputs/a")], "https://ann:***@host")]
    assert reveal("https://ann:***@host") == "https://ann:s3cret@host"
    assert "nothing to log; runs with logger=none are logged if you" in capsys.readouterr().err
    assert code_of("sync", "logger.experiment_name=mice") == 2
    assert (
        "logger.experiment_name=mice is no folder; "
        "accepted: folders of runs, and logger.tracking_uri=URI" in capsys.readouterr().err
    )
    assert code_of("sync", "--help") == 0
    assert "logger.tracking_uri=URI" in capsys.readouterr().out


@pytest.mark.parametrize(("outcome", "code"), [("logged", 0), ("failed: no server", 1)])
def test_sync_tells_what_became_of_each_folder(monkeypatch, capsys, tmp_path, outcome, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sleap_lab.sweeps.sync.sync",
        lambda folders, outputs_root, tracking_uri: dict.fromkeys(folders, outcome),
    )
    assert code_of("sync", "outputs/a [1]") == code
    assert capsys.readouterr().out.split("  ") == ["outputs/a [1]", f"{outcome}\n"]


# --- compare ----------------------------------------------------------------------------


def test_compare_shows_a_table_and_writes_a_page(monkeypatch, capsys, tmp_path):
    from sleap_lab.runs import summary

    monkeypatch.chdir(tmp_path)
    for name, value in (("a", 1.0), ("b", 3.0)):
        (tmp_path / name).mkdir()
        summary.write(
            tmp_path / name, summary.RunSummary(metrics={"speed/frames_per_second": value})
        )
    assert code_of("compare", "a", "b") == 0
    out = capsys.readouterr().out
    assert "no setting differs" in out
    assert next(line for line in out.splitlines() if line.startswith("speed/")).split() == [
        "speed/frames_per_second",
        "1",
        "3",
        "+2",
    ]
    (page,) = (tmp_path / "outputs" / "compare").iterdir()
    assert page.name in out


def test_compare_refuses_what_is_no_run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert code_of("compare", "a", "b") == 2
    assert "a is not a run folder" in capsys.readouterr().err


def test_compare_takes_sweeps_and_runs_of_mlflow(monkeypatch, capsys, tmp_path):
    from sleap_lab.runs import summary
    from sleap_lab.sweeps import find

    monkeypatch.chdir(tmp_path)
    asked = []

    def find_runs(word, scratch, *, tracking_uri, outputs_root):
        assert scratch.is_dir()
        asked.append((word, tracking_uri, outputs_root))
        folders = [tmp_path / word / job for job in "01"]
        for folder in folders:
            folder.mkdir(parents=True)
            summary.write(folder, summary.RunSummary(status="finished"))
        return find.Found(folders, [f"job 2 of {word} is left out: failed"])

    monkeypatch.setattr(find, "find_runs", find_runs)
    assert code_of("compare", "sweep", "logger.tracking_uri=sqlite:///a=b.db", "id") == 0
    assert asked == [(word, "sqlite:///a=b.db", tmp_path / "outputs") for word in ("sweep", "id")]
    out = capsys.readouterr().out
    assert "job 2 of sweep is left out: failed" in out
    assert [line.split()[0] for line in out.splitlines()[1:5]] == [
        "sweep/0",
        "sweep/1",
        "id/0",
        "id/1",
    ]


# --- reproduce --------------------------------------------------------------------------


@pytest.mark.parametrize(("differences", "code"), [([], 0), (["eval/oks_map"], 1)])
def test_reproduce_runs_one_run_again(monkeypatch, capsys, tmp_path, differences, code):
    from sleap_lab.cli import receipt as receipts
    from sleap_lab.cli import reproduce
    from sleap_lab.sweeps import find

    monkeypatch.chdir(tmp_path)
    asked = []
    receipt = SimpleNamespace(differences=differences)
    monkeypatch.setattr(
        find,
        "find_run",
        lambda word, scratch, **options: asked.append((word, options)) or Path("found"),
    )
    monkeypatch.setattr(
        reproduce,
        "reproduce",
        lambda folder, changes, **options: asked.append((folder, changes, options)) or receipt,
    )
    monkeypatch.setattr(receipts, "show_receipt", lambda shown: print("shown", shown is receipt))
    words = ["outputs/a=b", "model.paths=[x,y]", "logger.tracking_uri=http://x"]
    assert code_of("reproduce", *words) == code
    assert capsys.readouterr().out == "shown True\n"
    outputs = tmp_path / "outputs"
    assert asked == [
        ("outputs/a=b", {"tracking_uri": "http://x", "outputs_root": outputs}),
        (
            Path("found"),
            {"model.paths": ["x", "y"]},
            {"command": ["sleap-lab", "reproduce", *words], "outputs_root": outputs},
        ),
    ]


@pytest.mark.parametrize("words", [[], ["a", "b"], ["data.path=x"]])
def test_reproduce_takes_one_run(words, capsys):
    assert code_of("reproduce", *words) == 2
    assert "reproduce: give one run" in capsys.readouterr().err


# --- imports ----------------------------------------------------------------------------


HEAVY = "torch mlflow lightning sleap_io pandas matplotlib numpy rich"
UNUSED = "torch matplotlib jinja2 mlflow pandas scipy"
RARE = " ".join(
    f"sleap_lab.{module}"
    for module in ("evaluation", "quality", "tracking.offline", "runs.mlflow_log", "report.page")
)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("sleap_lab", HEAVY),
        # OpenSSL takes a tenth of the help page.
        ("sleap_lab.cli", f"{HEAVY} hashlib secrets argparse difflib sleap_lab.cli.verbs"),
        ("sleap_lab.settings.config", f"{HEAVY} scipy cv2 hydra"),
        ("sleap_lab.settings.flags", HEAVY),
        ("sleap_lab.settings.compose", HEAVY),
        ("sleap_lab.predict", f"{UNUSED} {RARE}"),
        ("sleap_lab.experiment", f"{UNUSED} {RARE}"),
        ("sleap_lab.tracking", "sleap_lab.tracking.offline sleap_lab.tracking.absence cv2 scipy"),
        ("sleap_lab.evaluation", "sleap_io torch trackeval matplotlib pandas scipy"),
        ("sleap_lab.launch.multirun", "mlflow torch pandas sleap_io matplotlib"),
        ("sleap_lab.sweeps.sync", "mlflow torch pandas sleap_io sqlalchemy"),
    ],
)
def test_importing_costs_little(module, heavy):
    code = f"import sys, {module}; print(*({set(heavy.split())} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
