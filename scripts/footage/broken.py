"""Recordings that something happened to: headers that nobody brought up to date, cuts, damage."""

from footage import edits
from footage.recording import MJPEG, MPEG4, NAMED, NO_B, NOTE, REFUSED, UNSEEN, Recording

HEADERS = (
    Recording("says_fewer.avi", "MJPEG", "header says 60 of 96 frames", source="mjpeg.avi", edit=edits.stale_avi(60), end_to_end=True),
    Recording("says_none.avi", "MJPEG", "header says no frames", source="mjpeg.avi", edit=edits.stale_avi(0)),
    Recording("says_more.avi", "MJPEG", "header says 200 frames of 96", source="mjpeg.avi", edit=edits.stale_avi(200)),
    Recording(
        "empty_chunks.avi",
        "MJPEG",
        "empty chunks for dropped frames",
        source="mjpeg.avi",
        edit=edits.with_empty_chunks,
        end_to_end=True,
        expect=NOTE,
        why="dropped frames are counted",
    ),
    Recording(
        "empty_chunks_mpeg4.avi",
        "MPEG-4",
        "empty chunks for dropped frames",
        MPEG4,
        edit=edits.with_empty_chunks,
        expect=NOTE,
        why="dropped frames are counted",
    ),
    Recording("no_index.avi", "MJPEG", "no index", source="mjpeg.avi", edit=edits.without_index),
    Recording("chunks_lost.avi", "MJPEG", "seven frames taken out", source="mjpeg.avi", edit=edits.without_some_chunks),
    Recording("live.avi", "MJPEG", "written to a pipe", MJPEG, live="avi"),
)
DAMAGE = (
    Recording(
        "cut.mp4",
        "H.264",
        "cut short",
        source="h264.mp4",
        edit=edits.cut(0.5),
        expect=REFUSED,
        why="its index stands at the end",
        end_to_end=True,
    ),
    Recording(
        "cut_faststart.mp4", "H.264", "cut short, index at the front", source="h264_faststart.mp4", edit=edits.cut(0.7), expect=NAMED
    ),
    Recording("cut_fragmented.mp4", "H.264", "cut short, fragmented", source="h264_fragmented.mp4", edit=edits.cut(0.6), expect=NAMED),
    Recording("cut.mkv", "H.264", "cut short", source="h264.mkv", edit=edits.cut(0.6), expect=NAMED),
    Recording("cut.avi", "MJPEG", "cut short", source="mjpeg.avi", edit=edits.cut(0.7), expect=NAMED),
    Recording("cut_mpeg4.avi", "MPEG-4", "cut short", source="mpeg4_b.avi", edit=edits.cut(0.7), expect=NAMED),
    Recording("cut.ts", "H.264", "cut short", source="h264.ts", edit=edits.cut(0.6), expect=NAMED),
    Recording("cut.webm", "VP9", "cut short", source="vp9.webm", edit=edits.cut(0.6), expect=NAMED),
    Recording("cut.mpg", "MPEG-2", "cut short", source="mpeg2.mpg", edit=edits.cut(0.6), expect=NAMED),
    Recording("cut.mov", "MJPEG", "cut short", source="mjpeg.mov", edit=edits.cut(0.5), expect=REFUSED, why="its index stands at the end"),
    Recording("cut.wmv", "WMV 8", "cut short", source="wmv2.wmv", edit=edits.cut(0.6), expect=NAMED),
    Recording("cut.gif", "GIF", "cut short", source="pictures.gif", edit=edits.cut(0.6), expect=NAMED),
    Recording(
        "cut_early.mkv",
        "H.264",
        "cut short near its beginning",
        source="h264.mkv",
        edit=edits.cut(0.12),
        expect=REFUSED,
        why="not one frame is whole",
    ),
    Recording(
        "bad_key.mp4", "H.264", "a key frame damaged", source="h264.mp4", edit=edits.damage(0.5, key=True), expect=NAMED, end_to_end=True
    ),
    Recording("bad_p.mp4", "H.264", "one frame damaged", source="h264.mp4", edit=edits.damage(0.4), expect=NAMED),
    Recording(
        "bad_end.mp4", "H.264", "one frame near the end overwritten", source="h264.mp4", edit=edits.damage(0.97, whole=True), expect=NAMED
    ),
    Recording(
        "bad_first.mp4", "H.264", "the first frame damaged", source="h264.mp4", edit=edits.damage(0.0, key=True, whole=True), expect=NAMED
    ),
    Recording("bad_whole.mp4", "H.264", "one frame overwritten", source="h264_no_b.mp4", edit=edits.damage(0.4, whole=True), expect=NAMED),
    Recording("bad_key.mkv", "H.264", "a key frame damaged", source="h264.mkv", edit=edits.damage(0.5, key=True), expect=NAMED),
    Recording("bad_p.mkv", "H.264", "one frame damaged, no B-frames", NO_B, edit=edits.damage(0.4), expect=NAMED),
    Recording("bad.ts", "H.264", "one frame damaged", source="h264.ts", edit=edits.damage(0.4), expect=NAMED),
    Recording("bad.avi", "MPEG-4", "one frame damaged", MPEG4, edit=edits.damage(0.4, whole=True), expect=NAMED),
    Recording("bad_mjpeg.avi", "MJPEG", "one frame damaged", source="mjpeg.avi", edit=edits.damage(0.5, key=True), expect=NAMED),
    Recording(
        "bad_mjpeg_whole.avi",
        "MJPEG",
        "one frame overwritten",
        source="mjpeg.avi",
        edit=edits.damage(0.5, key=True, whole=True),
        expect=NAMED,
    ),
    Recording("bad_vp9.webm", "VP9", "one frame overwritten", source="vp9.webm", edit=edits.damage(0.4, whole=True), expect=NAMED),
    Recording(
        "bad_h265.mp4",
        "H.265",
        "one frame damaged",
        source="h265.mp4",
        edit=edits.damage(0.4),
        expect=UNSEEN,
        why="the damaged data are valid data of another picture",
    ),
    Recording(
        "bad_h265_key.mp4",
        "H.265",
        "a key frame damaged",
        source="h265_closed.mp4",
        edit=edits.damage(0.5, key=True, whole=True),
        expect=NAMED,
    ),
    Recording("bad_ffv1.mkv", "FFV1", "one frame damaged", source="ffv1_v3.mkv", edit=edits.damage(0.5, key=True), expect=NAMED),
    Recording("bad_av1.mp4", "AV1", "one frame overwritten", source="av1.mp4", edit=edits.damage(0.4, whole=True), expect=NAMED),
    Recording("bad_mpeg2.mpg", "MPEG-2", "one frame damaged", source="mpeg2.mpg", edit=edits.damage(0.4), expect=NAMED),
    Recording(
        "bad_huffyuv.avi",
        "HuffYUV",
        "one frame overwritten",
        source="huffyuv.avi",
        edit=edits.damage(0.5, key=True, whole=True),
        expect=UNSEEN,
        why="the damaged data are valid data of another picture",
    ),
    Recording(
        "nothing.mp4", "", "an empty file", source="h264.mp4", edit=edits.empty, expect=REFUSED, why="it holds nothing", end_to_end=True
    ),
    Recording("nothing.mkv", "", "an empty file", source="h264.mkv", edit=edits.empty, expect=REFUSED, why="it holds nothing"),
    Recording("pointer.mp4", "", "a Git LFS pointer", source="h264.mp4", edit=edits.no_video, expect=REFUSED, why="it is text"),
)
