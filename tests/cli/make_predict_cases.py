"""Commands of `sleap-nn predict` on the demo, and what it answers.

    python tests/cli/make_predict_cases.py     (where sleap-nn 0.3.5 is installed)

`test_predict.py` compares `sleap-lab predict` with the answers.
"""

import gzip
import json
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import sleap_io as sio

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "sleap_lab" / "demo"
ANSWERS = Path(__file__).parent / "data" / "predict_0.3.5_answers.json.gz"
CLIP, SINGLE, LABELS = (str(DEMO / name) for name in ("clip.mp4", "single.mp4", "truth.slp"))
TOP_DOWN = "-m {m}/centroid -m {m}/centered_instance"
CASES = {
    "single instance": "-i {single} -m {m}/single_instance --frames 0-7",
    "bottom-up": "-i {clip} -m {m}/bottomup --frames 0-7",
    "file in the folder": "-i {clip} -m {m}/bottomup/best.ckpt --frames 3,9",
    "config in the folder": "-i {clip} -m {m}/bottomup/training_config.yaml --frames 3,9",
    "top-down": f"-i {{clip}} {TOP_DOWN} --frames 0-7",
    "classes bottom-up": "-i {clip} -m {m}/multi_class_bottomup --frames 0-7",
    "classes top-down": "-i {clip} -m {m}/centroid -m {m}/multi_class_topdown --frames 0-7",
    "centroids": "-i {clip} -m {m}/centroid --centroid-only --frames 0-7",
    "centroids, tracked": "-i {clip} -m {m}/centroid -t --frames 0-31",
    "bottom-up, tracked": "-i {clip} -m {m}/bottomup -t --frames 0-31",
    "top-down, tracked": f"-i {{clip}} {TOP_DOWN} --tracking --tracker classic --frames 0-31",
    "local queues": "-i {clip} -m {m}/bottomup -t --candidates_method local_queues --frames 40-60",
    "IoU, greedy": "-i {clip} -m {m}/bottomup -t --features bboxes --scoring_method iou "
    "--track_matching_method greedy --frames 0-20",
    "most tracks": "-i {clip} -m {m}/bottomup -t --max_tracks 3 --frames 0-31",
    "cull": "-i {clip} -m {m}/bottomup -t --tracking_target_instance_count 2 "
    "--tracking_pre_cull_to_target 1 --frames 0-15",
    "flow": f"-i {{clip}} {TOP_DOWN} -t --use_flow --frames 0-11",
    "kalman": "-i {clip} -m {m}/bottomup -t --use_kalman --tracking_target_instance_count 3 "
    "--frames 0-40",
    "centroid threshold": f"-i {{clip}} {TOP_DOWN} --centroid_peak_threshold 0.92 --frames 0-9",
    "threshold": "-i {clip} -m {m}/bottomup --peak-conf-threshold 0.6 --frames 0-9",
    "two at most": f"-i {{clip}} {TOP_DOWN} -n 2 --frames 0-9",
    "no refinement": "-i {clip} -m {m}/bottomup --integral_refinement None --frames 0-5",
    "paf options": "-i {clip} -m {m}/bottomup --max_edge_length_ratio 0.1 --n_points 5 "
    "--min_line_scores 0.5 --frames 0-9",
    "overlap": "-i {clip} -m {m}/bottomup --filter_overlapping "
    "--filter_overlapping_threshold 0.05 --frames 20-40",
    "visible nodes": "-i {clip} -m {m}/bottomup --peak_threshold 0.7 "
    "--filter_min_visible_nodes 6 --frames 0-9",
    "node score": "-i {clip} -m {m}/bottomup --filter_min_mean_node_score 0.85 --frames 0-9",
    "no empty frames": "-i {clip} -m {m}/bottomup --filter_min_mean_node_score 0.9 "
    "--no_empty_frames --frames 0-9",
    "scale": "-i {clip} -m {m}/bottomup --input_scale 0.75 --frames 0-5",
    "crop": f"-i {{clip}} {TOP_DOWN} --crop_size 128 --frames 0-5",
    "stream to file": "-i {clip} -m {m}/bottomup --frames 0-5 --write-interval 2",
    "formats": "-i {clip} -m {m}/bottomup --output_format slp --output_format analysis_h5 "
    "--frames 0-3 --paf-workers 1",
    "patch size": f"-i {{clip}} {TOP_DOWN} --integral_patch_size 7 --frames 0-5",
    "instance score": "-i {clip} -m {m}/bottomup --filter_min_instance_score 3.5 --frames 0-9",
    "visible share": "-i {clip} -m {m}/bottomup --peak_threshold 0.75 "
    "--filter_min_visible_node_fraction 0.9 --frames 0-9",
    "overlap by OKS": f"-i {{clip}} {TOP_DOWN} --filter_overlapping "
    "--filter_overlapping_method oks --filter_overlapping_threshold 0.3 --frames 20-30",
    "size": "-i {clip} -m {m}/bottomup --max_height 240 --max_width 240 --frames 0-5",
    "classes, one at most": "-i {clip} -m {m}/multi_class_bottomup -n 1 --frames 2-9",
    "filtered, tracked": "-i {clip} -m {m}/bottomup -t --filter_min_instance_score 3.5 "
    "--tracking_window_size 10 --scoring_reduction mean --frames 0-25",
    "single breaks": "-i {clip} -m {m}/bottomup -t --tracking_target_instance_count 3 "
    "--post_connect_single_breaks --max_tracks 3 --frames 0-25",
    "labels": f"-i {{labels}} {TOP_DOWN} --frames 0-5",
    "track only": "-i {labels} -t",
    "labels, centroids": "-i {labels} -m {m}/centroid --frames 0-5",
    "centroids of a pair": f"-i {{clip}} {TOP_DOWN} --centroid_only -t --frames 0-7",
    "centroids alone": "-i {clip} -m {m}/centroid --centroid_output centroid --frames 0-3",
    "both": f"-i {{clip}} {TOP_DOWN} --centroid-only --centroid-output both --frames 0-3",
    "centroids apart": "-i {clip} -m {m}/centroid --filter_min_centroid_distance 40 --frames 0-31",
    "animals apart, resized": f"-i {{clip}} {TOP_DOWN} --filter_min_centroid_distance 40 -n 2 "
    "--max_height 240 --max_width 240 --frames 0-15",
}


def words_of(case, output):
    """Return the command line of a case, with the predictions at `output`."""
    text = CASES[case].format(clip=CLIP, single=SINGLE, labels=LABELS, m=DEMO / "models")
    flag = "--stream-to-file" if case == "stream to file" else "-o"
    return [*shlex.split(text), flag, str(output), "-d", "cpu"]


def content(labels):
    """Return (frame, [(points in px, name of the track), …]) of all predictions.

    Centroids come after instances.
    """
    return [
        (
            int(frame.frame_idx),
            [
                (own.numpy().round(4).tolist(), own.track.name if own.track else None)
                for own in frame.instances
                if isinstance(own, sio.PredictedInstance)
            ]
            + [([[round(own.x, 4), round(own.y, 4)]], None) for own in frame.centroids],
        )
        for frame in sorted(labels, key=lambda frame: frame.frame_idx)
    ]


def main():
    """Ask sleap-nn about every case that has no answer yet; remove the file to ask about all."""
    from click.testing import CliRunner
    from sleap_nn.cli import cli

    answers = json.loads(gzip.decompress(ANSWERS.read_bytes())) if ANSWERS.exists() else {}
    for case in (case for case in CASES if case not in answers):
        with TemporaryDirectory() as folder:
            output = Path(folder) / "predictions.slp"
            ended = CliRunner().invoke(cli, ["predict", *words_of(case, output)])
            if ended.exit_code:
                print(case, ended.output[-500:], repr(ended.exception), file=sys.stderr)
                continue
            answers[case] = content(sio.load_slp(str(output), open_videos=False))
    ANSWERS.parent.mkdir(exist_ok=True)
    text = json.dumps({case: answers[case] for case in CASES if case in answers}).replace(
        "NaN", "null"
    )
    ANSWERS.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
