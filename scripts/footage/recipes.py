"""The recordings: what is in each, how ffmpeg makes it, and what becomes of it when it is read."""

from footage import edits
from footage.broken import DAMAGE, HEADERS
from footage.recording import (
    AV1,
    COVER,
    FIELDS,
    GAP,
    JITTER,
    MILLI,
    MJPEG,
    MPEG2,
    MPEG4,
    NAMED,
    NO_B,
    NOTE,
    SLOW_FAST,
    SOUND,
    VP9,
    X264,
    X265,
    Recording,
    with_sound,
)

CONTAINERS = (
    Recording("h264.mp4", "H.264", "B-frames", X264, end_to_end=True),
    Recording("h264_fragmented.mp4", "H.264", "fragmented", f"{X264} -movflags frag_keyframe+empty_moov"),
    Recording(
        "h264_fragmented_live.mp4", "H.264", "fragmented, written to a pipe", f"{X264} -movflags frag_keyframe+empty_moov", live="mp4"
    ),
    Recording(
        "h264_fragmented_dash.mp4",
        "H.264",
        "fragmented, default-base-moof",
        f"{X264} -movflags frag_every_frame+empty_moov+default_base_moof",
    ),
    Recording("h264_faststart.mp4", "H.264", "index at the front", f"{X264} -movflags +faststart"),
    Recording("h264.mov", "H.264", "B-frames", X264),
    Recording("h264.m4v", "H.264", "B-frames", X264),
    Recording("h264.mkv", "H.264", "B-frames", X264),
    Recording("h264_live.mkv", "H.264", "written to a pipe: no duration, no index", X264, live="matroska", end_to_end=True),
    Recording("h264.avi", "H.264", "B-frames, of which AVI stores no times", X264),
    Recording("h264_no_b.avi", "H.264", "no B-frames", NO_B),
    Recording("h264.ts", "H.264", "B-frames", X264),
    Recording("h264.mpg", "H.264", "in a program stream", f"{X264} -f mpeg", expect=NOTE, why="its times make no sense"),
    Recording("mpeg2.ts", "MPEG-2", "no B-frames", MPEG2),
    Recording("mpeg2.mpg", "MPEG-2", "no B-frames", MPEG2),
    Recording("mpeg2_b.mpg", "MPEG-2", "B-frames", f"{MPEG2} -bf 2"),
    Recording("mpeg1.mpg", "MPEG-1", "", "-c:v mpeg1video -q:v 3 -g 12"),
    Recording("vp8.webm", "VP8", "", "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 800k -g 24"),
    Recording("vp9.webm", "VP9", "", VP9),
    Recording("vp9_live.webm", "VP9", "written to a pipe", VP9, live="webm"),
    Recording("wmv2.wmv", "WMV 8", "", "-c:v wmv2 -q:v 3 -g 24"),
    Recording("wmv1.wmv", "WMV 7", "", "-c:v wmv1 -q:v 3 -g 24"),
    Recording("h264.asf.wmv", "H.264", "in ASF", f"{X264} -f asf"),
    Recording("pictures.gif", "GIF", "", "-r 25", end_to_end=True),
)
CODECS = (
    Recording("h264_no_b.mp4", "H.264", "no B-frames", NO_B),
    Recording("h264_open_gop.mp4", "H.264", "open groups of pictures", f"{X264} -bf 3 -x264-params open-gop=1:b-pyramid=normal:b-adapt=0"),
    Recording("h264_open_gop.ts", "H.264", "open groups of pictures", f"{X264} -bf 3 -x264-params open-gop=1:b-adapt=0"),
    Recording("h264_long_gop.mp4", "H.264", "one key frame", f"{X264} -g 1000 -keyint_min 1000 -sc_threshold 0"),
    Recording(
        "h264_pyramid.mp4", "H.264", "16 references, pyramid of B-frames", f"{X264} -bf 8 -refs 16 -x264-params b-pyramid=strict:b-adapt=0"
    ),
    Recording("h264_refresh.mp4", "H.264", "key pictures spread over many frames", f"{X264} -bf 0 -x264-params intra-refresh=1"),
    Recording("h264_refresh.ts", "H.264", "key pictures spread over many frames", f"{X264} -bf 0 -x264-params intra-refresh=1"),
    Recording("h264_all_key.mp4", "H.264", "each a key frame", f"{X264} -g 1"),
    Recording("h264_lossless.mp4", "H.264", "lossless", "-c:v libx264 -preset veryfast -qp 0 -pix_fmt yuv444p -g 24"),
    Recording("h264_rgb.mp4", "H.264", "RGB", "-c:v libx264rgb -preset veryfast -crf 18 -g 24"),
    Recording("h264_interlaced.mp4", "H.264", "interlaced", f"{X264} {FIELDS}", end_to_end=True),
    Recording("h264_interlaced_no_b.mp4", "H.264", "interlaced, no B-frames", f"{NO_B} {FIELDS}"),
    Recording("h264_interlaced_bff.mkv", "H.264", "interlaced, bottom field first", f"{X264} -flags +ilme+ildct -x264-params bff=1"),
    Recording("h264_interlaced.ts", "H.264", "interlaced", f"{X264} {FIELDS}"),
    Recording("h264_fake_interlaced.mp4", "H.264", "marked as interlaced", f"{X264} -x264-params fake-interlaced=1"),
    Recording("h264_interlaced_422.mov", "H.264", "interlaced, 4:2:2, 10 bits", f"{X264} {FIELDS} -pix_fmt yuv422p10le"),
    Recording("mpeg2_interlaced.mpg", "MPEG-2", "interlaced, B-frames", f"{MPEG2} -bf 2 {FIELDS}"),
    Recording("mpeg2_interlaced.ts", "MPEG-2", "interlaced", f"{MPEG2} {FIELDS}"),
    Recording("mpeg4_interlaced.avi", "MPEG-4", "interlaced", f"{MPEG4} {FIELDS}"),
    Recording("h265.mp4", "H.265", "B-frames", X265),
    Recording("h265.mkv", "H.265", "B-frames", X265),
    Recording("h265.ts", "H.265", "B-frames", X265),
    Recording("h265_closed.mp4", "H.265", "closed groups of pictures", f"{X265}:open-gop=0"),
    Recording("h265_no_b.mov", "H.265", "no B-frames", f"{X265}:bframes=0 -tag:v hvc1"),
    Recording("h265_fields.mkv", "H.265", "fields that are pictures of their own", f"{X265}:interlace=tff"),
    Recording("mjpeg.avi", "MJPEG", "", MJPEG),
    Recording("mjpeg.mov", "MJPEG", "", MJPEG),
    Recording("mjpeg.mkv", "MJPEG", "", MJPEG),
    Recording("mjpeg.mp4", "MJPEG", "", MJPEG),
    Recording("mpeg4.mp4", "MPEG-4", "", MPEG4),
    Recording("mpeg4_b.mp4", "MPEG-4", "B-frames", f"{MPEG4} -bf 2"),
    Recording("mpeg4_b.avi", "MPEG-4", "B-frames", f"{MPEG4} -bf 2"),
    Recording("xvid.avi", "MPEG-4", "Xvid, B-frames", "-c:v libxvid -q:v 2 -g 24 -bf 2", expect=NOTE, why="dropped frames are counted"),
    Recording("mpeg4.mkv", "MPEG-4", "B-frames", f"{MPEG4} -bf 2"),
    Recording("mpeg4.mov", "MPEG-4", "", MPEG4),
    Recording("msmpeg4.avi", "MS MPEG-4", "", "-c:v msmpeg4 -q:v 3 -g 24"),
    Recording("vp9.mp4", "VP9", "", VP9),
    Recording(
        "vp9_hidden.webm",
        "VP9",
        "hidden frames",
        "-c:v libvpx-vp9 -deadline good -cpu-used 5 -b:v 300k -lag-in-frames 16 -auto-alt-ref 1 -arnr-maxframes 5 -g 48",
    ),
    Recording(
        "vp9_hidden.mkv",
        "VP9",
        "hidden frames",
        "-c:v libvpx-vp9 -deadline good -cpu-used 5 -b:v 300k -lag-in-frames 16 -auto-alt-ref 1 -g 48",
    ),
    Recording(
        "vp8_hidden.webm",
        "VP8",
        "hidden frames",
        "-c:v libvpx -deadline good -cpu-used 5 -b:v 600k -lag-in-frames 16 -auto-alt-ref 1 -g 48",
    ),
    Recording("av1.mp4", "AV1", "", AV1),
    Recording("av1.mkv", "AV1", "", AV1),
    Recording("av1.webm", "AV1", "libaom", "-c:v libaom-av1 -cpu-used 8 -usage realtime -crf 30 -b:v 0 -g 24 -frames:v 48", frames=48),
    Recording("ffv1.avi", "FFV1", "", "-c:v ffv1 -pix_fmt yuv420p"),
    Recording("ffv1_v3.mkv", "FFV1", "version 3, slices", "-c:v ffv1 -level 3 -slices 4 -slicecrc 1 -g 1 -pix_fmt yuv420p"),
    Recording("ffv1_gray.mkv", "FFV1", "gray", "-c:v ffv1 -level 3 -pix_fmt gray"),
    Recording("raw_gray.avi", "raw", "gray", "-c:v rawvideo -pix_fmt gray"),
    Recording("raw_gray.mov", "raw", "gray", "-c:v rawvideo -pix_fmt gray"),
    Recording("raw_gray.mkv", "raw", "gray", "-c:v rawvideo -pix_fmt gray -allow_raw_vfw 1"),
    Recording("raw_bgr.avi", "raw", "BGR", "-c:v rawvideo -pix_fmt bgr24"),
    Recording("raw_yuv.avi", "raw", "4:2:0", "-c:v rawvideo -pix_fmt yuv420p"),
    Recording("huffyuv.avi", "HuffYUV", "4:2:2", "-c:v huffyuv -pix_fmt yuv422p"),
    Recording("ffvhuff.avi", "HuffYUV", "ffmpeg's, 4:2:0", "-c:v ffvhuff -pix_fmt yuv420p"),
    Recording("utvideo.avi", "Ut Video", "RGB", "-c:v utvideo -pix_fmt gbrp"),
    Recording("png.mov", "PNG", "", "-c:v png"),
    Recording("prores.mov", "ProRes", "10 bits, 4:2:2", "-c:v prores_ks -profile:v 2 -pix_fmt yuv422p10le"),
    Recording("dnxhd.mov", "DNxHR", "4:2:2", "-c:v dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p -vf scale=256:192"),
    Recording("jpeg2000.mov", "JPEG 2000", "", "-c:v jpeg2000 -q:v 3 -pix_fmt yuv420p"),
    Recording("theora.ogv.mkv", "Theora", "", "-c:v libtheora -q:v 8 -g 24"),
    Recording("cinepak.avi", "Cinepak", "", "-c:v cinepak -frames:v 24", frames=24),
    Recording("qtrle.mov", "QuickTime Animation", "", "-c:v qtrle -pix_fmt rgb24"),
)
PIXELS = (
    Recording("h264_10.mp4", "H.264", "10 bits", f"{X264} -pix_fmt yuv420p10le"),
    Recording("h264_422.mp4", "H.264", "4:2:2", f"{X264} -pix_fmt yuv422p"),
    Recording("h264_444.mp4", "H.264", "4:4:4", f"{X264} -pix_fmt yuv444p"),
    Recording("h264_gray.mp4", "H.264", "gray", f"{X264} -pix_fmt gray"),
    Recording("h264_gray10.mkv", "H.264", "gray, 10 bits", f"{X264} -pix_fmt gray10le"),
    Recording("h265_10.mp4", "H.265", "10 bits", f"{X265} -pix_fmt yuv420p10le"),
    Recording("h265_12.mkv", "H.265", "12 bits, 4:4:4", f"{X265} -pix_fmt yuv444p12le"),
    Recording("h265_gray.mp4", "H.265", "gray", f"{X265} -pix_fmt gray"),
    Recording("vp9_10.webm", "VP9", "10 bits", f"{VP9} -pix_fmt yuv420p10le -profile:v 2"),
    Recording("vp9_444.webm", "VP9", "4:4:4", f"{VP9} -pix_fmt yuv444p -profile:v 1"),
    Recording("av1_10.mp4", "AV1", "10 bits", AV1.replace("yuv420p", "yuv420p10le")),
    Recording("ffv1_16.mkv", "FFV1", "gray, 16 bits", "-c:v ffv1 -level 3 -pix_fmt gray16le"),
    Recording("ffv1_rgb.mkv", "FFV1", "RGB", "-c:v ffv1 -level 3 -pix_fmt bgr0"),
    Recording("ffv1_alpha.mkv", "FFV1", "with transparency", "-c:v ffv1 -level 3 -pix_fmt yuva420p"),
    Recording("h264_full.mp4", "H.264", "full range", f"{X264} -vf scale=out_range=full -color_range pc"),
    Recording(
        "h264_709.mp4",
        "H.264",
        "BT.709",
        f"{X264} -vf scale=out_color_matrix=bt709 -colorspace bt709 -color_primaries bt709 -color_trc bt709",
    ),
    Recording(
        "h264_601.mp4",
        "H.264",
        "BT.601",
        f"{X264} -vf scale=out_color_matrix=bt601 -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m",
    ),
    Recording(
        "h264_2020.mkv", "H.264", "BT.2020, 10 bits", f"{X264} -pix_fmt yuv420p10le -vf scale=out_color_matrix=bt2020 -colorspace bt2020nc"
    ),
    Recording("h264_anamorphic.mp4", "H.264", "pixels that are not square", f"{X264} -aspect 16:9"),
    Recording("mjpeg_444.avi", "MJPEG", "4:4:4", f"{MJPEG} -pix_fmt yuvj444p"),
    Recording("h264_odd.mp4", "H.264", "161 x 121 px", f"{X264} -pix_fmt yuv444p", size=(161, 121)),
    Recording("h264_not16.mp4", "H.264", "162 x 122 px", X264, size=(162, 122)),
    Recording("ffv1_odd.mkv", "FFV1", "163 x 119 px", "-c:v ffv1 -level 3", size=(163, 119)),
    Recording("mjpeg_odd.avi", "MJPEG", "161 x 121 px", MJPEG, size=(161, 121)),
    Recording("raw_odd.avi", "raw", "gray, 161 x 121 px", "-c:v rawvideo -pix_fmt gray", size=(161, 121)),
    Recording("vp9_odd.webm", "VP9", "161 x 121 px", VP9, size=(161, 121)),
    Recording("h265_odd.mp4", "H.265", "162 x 122 px", X265, size=(162, 122)),
    Recording("turned_90.mp4", "H.264", "rotation flag: 90 degrees", X264, edit=edits.turned(90), turns=1, end_to_end=True),
    Recording("turned_180.mp4", "H.264", "rotation flag: 180 degrees", X264, edit=edits.turned(180), turns=2),
    Recording("turned_270.mp4", "H.264", "rotation flag: 270 degrees", X264, edit=edits.turned(270), turns=3),
    Recording("turned_90.mov", "MJPEG", "rotation flag: 90 degrees", MJPEG, edit=edits.turned(90), turns=1),
)
TIME = (
    Recording(
        "slow_fast.mp4", "H.264", "variable rate: slow, then fast", f"{SLOW_FAST} {X264} {MILLI}", expect=NOTE, why="the rate varies"
    ),
    Recording("slow_fast.mkv", "H.264", "variable rate: slow, then fast", source="slow_fast.mp4", expect=NOTE, why="the rate varies"),
    Recording("slow_fast.webm", "VP9", "variable rate: slow, then fast", f"{SLOW_FAST} {VP9} {MILLI}", expect=NOTE, why="the rate varies"),
    Recording("slow_fast.ts", "H.264", "variable rate: slow, then fast", f"{SLOW_FAST} {X264} {MILLI}", expect=NOTE, why="the rate varies"),
    Recording("jitter.mp4", "H.264", "times that jitter", f"{JITTER} {X264} {MILLI}", expect=NOTE, why="the rate varies"),
    Recording("jitter.mkv", "H.264", "times that jitter, no B-frames", f"{JITTER} {NO_B} {MILLI}", expect=NOTE, why="the rate varies"),
    Recording(
        "gap.mp4", "H.264", "0.3 s missing in the middle", f"{GAP} {X264} {MILLI}", end_to_end=True, expect=NOTE, why="the gap is named"
    ),
    Recording("gap.mkv", "H.264", "0.3 s missing in the middle", f"{GAP} {NO_B} {MILLI}", expect=NOTE, why="the gap is named"),
    Recording(
        "gap.ts", "MPEG-2", "0.3 s missing in the middle", f"{GAP} {MPEG2} -r 25 -fps_mode passthrough", expect=NOTE, why="the gap is named"
    ),
    Recording(
        "gap_fragmented.mp4",
        "H.264",
        "0.3 s missing, fragmented",
        f"{GAP} {X264} {MILLI} -movflags frag_keyframe+empty_moov",
        expect=NOTE,
        why="the gap is named",
    ),
    Recording("late.mkv", "H.264", "begins at 8 s", source="h264.mp4", before="-itsoffset 8"),
    Recording("late.mp4", "H.264", "begins at 8 s", source="h264.mp4", before="-itsoffset 8"),
    Recording("late.ts", "H.264", "begins at 3600 s", source="h264.mp4", before="-itsoffset 3600"),
    Recording("late.webm", "VP9", "begins at 8 s", source="vp9.webm", before="-itsoffset 8"),
    Recording("trimmed.mp4", "H.264", "trimmed without re-encoding (edit list)", source="h264.mp4", before="-ss 1.3", end_to_end=True),
    Recording("trimmed.mov", "H.264", "trimmed without re-encoding (edit list)", source="h264_no_b.mp4", before="-ss 1.3"),
    Recording(
        "trimmed_end.mp4",
        "H.264",
        "end trimmed without re-encoding",
        source="h264.mp4",
        args="-t 2.2 -c copy",
        expect=NOTE,
        why="the gap is named",
    ),
    Recording("trimmed.mkv", "H.264", "trimmed without re-encoding", source="h264.mp4", before="-ss 1.3"),
    Recording("trimmed.ts", "H.264", "trimmed without re-encoding", source="h264.mp4", before="-ss 1.3"),
    Recording("trimmed_open_gop.mp4", "H.264", "open groups, trimmed without re-encoding", source="h264_open_gop.mp4", before="-ss 1.3"),
    Recording("trimmed.webm", "VP9", "trimmed without re-encoding", source="vp9.webm", before="-ss 1.3"),
    Recording("sound.mp4", "H.264", "with sound", f"{with_sound('aac')} {X264}"),
    Recording("sound.mkv", "H.264", "with sound", f"{with_sound('libopus')} {X264}", end_to_end=True),
    Recording("sound_longer.mp4", "H.264", "sound that is longer than the pictures", f"{with_sound('aac', 6)} {X264}"),
    Recording("sound_longer.mkv", "H.264", "sound that is longer than the pictures", f"{with_sound('ac3', 6)} {X264}"),
    Recording("sound_longer.avi", "MPEG-4", "sound that is longer than the pictures", f"{with_sound('mp2', 6)} {MPEG4}"),
    Recording("sound_longer.webm", "VP9", "sound that is longer than the pictures", f"{with_sound('libopus', 6)} {VP9}"),
    Recording("sound_fragmented.mp4", "H.264", "with sound, fragmented", f"{with_sound('aac')} {X264} -movflags frag_keyframe+empty_moov"),
    Recording("sound_trimmed.mp4", "H.264", "with sound, trimmed without re-encoding", source="sound.mp4", before="-ss 1.3"),
    Recording(
        "sound_first.mkv", "H.264", "sound is the first stream", f"{SOUND.format(codec='libopus', seconds=4)} -map 1:a -map 0:v {X264}"
    ),
    Recording("sound.ts", "H.264", "with sound", f"{with_sound('aac')} {X264}"),
    Recording(
        "cover.mp4",
        "H.264",
        "with a cover picture",
        f"{COVER} {X264.replace('c:v', 'c:v:0')}",
    ),
    Recording("same_time.mkv", "MJPEG", "times that repeat", f"{MJPEG} -bsf:v \"setts=pts='PTS-mod(N,3)':dts='DTS-mod(N,3)'\""),
    Recording(
        "same_time.mp4", "H.264", "times that differ by less than their unit tells", f"{JITTER} {NO_B} {MILLI} -video_track_timescale 20"
    ),
    Recording(
        "back_in_time.mkv",
        "MJPEG",
        "a clock that was set back while recording",
        MJPEG,
        edit=edits.set_back(48, 400),
        expect=NOTE,
        why="its times make no sense",
    ),
    Recording(
        "swapped_times.mkv",
        "MJPEG",
        "times of two frames swapped",
        MJPEG,
        edit=edits.swap_times(40, 45),
        expect=NOTE,
        why="its times make no sense",
    ),
    Recording("second.ts", "H.264", "second half of others", X264, first=96),
    Recording(
        "restarted.ts",
        "H.264",
        "a clock that begins again in the middle",
        X264,
        expect=NAMED,
        why="a join cannot be told from lost data",
        more="second.ts",
    ),
    Recording("second.mpg", "MPEG-2", "second half of another", MPEG2, first=96),
    Recording(
        "restarted.mpg",
        "MPEG-2",
        "two recordings, one behind the other",
        MPEG2,
        more="second.mpg",
        expect=NOTE,
        why="its times make no sense",
    ),
    Recording("second_later.ts", "MPEG-2", "second half of another", f"{MPEG2} -output_ts_offset 3.84", first=96),
    Recording(
        "joined.ts",
        "MPEG-2",
        "two recordings, one behind the other",
        MPEG2,
        expect=NAMED,
        why="a join cannot be told from lost data",
        more="second_later.ts",
    ),
    Recording("one_frame.mp4", "H.264", "a single frame", X264, frames=1),
    Recording("two_frames.avi", "MPEG-4", "two frames", MPEG4, frames=2),
)
CONTENT = (
    Recording("black_first.mp4", "H.264", "the first frames black", X264, blank=range(3)),
    Recording(
        "black_stretch.mp4", "H.264", "20 black frames", X264, blank=range(40, 60), end_to_end=True, expect=NOTE, why="the frames are named"
    ),
    Recording("black_stretch.avi", "MJPEG", "20 black frames", MJPEG, blank=range(40, 60), expect=NOTE, why="the frames are named"),
    Recording(
        "repeated_stretch.mkv",
        "FFV1",
        "one picture for 20 frames",
        "-c:v ffv1 -level 3 -pix_fmt yuv420p",
        frozen=range(40, 60),
        expect=NOTE,
        why="the frames are named",
    ),
    Recording(
        "second_larger.ts", "H.264", "second half of others, 320 x 240 px", f"{X264} -output_ts_offset 3.84", first=96, size=(320, 240)
    ),
    Recording(
        "larger.ts",
        "H.264",
        "a size that changes in the middle",
        X264,
        expect=NAMED,
        why="a join cannot be told from lost data",
        more="second_larger.ts",
        end_to_end=True,
    ),
    Recording("larger.mkv", "H.264", "a size that changes in the middle", source="larger.ts", expect=NOTE, why="the change is named"),
    Recording(
        "second_larger.mpg", "MPEG-2", "second half of another, 320 x 240 px", f"{MPEG2} -output_ts_offset 3.84", first=96, size=(320, 240)
    ),
    Recording(
        "larger.mpg", "MPEG-2", "a size that changes in the middle", MPEG2, more="second_larger.mpg", expect=NOTE, why="the change is named"
    ),
)
THEMES = {
    "Containers": CONTAINERS,
    "Codecs": CODECS,
    "Pixels, size and rotation": PIXELS,
    "Time and sound": TIME,
    "What the pictures show": CONTENT,
    "Headers": HEADERS,
    "Damage": DAMAGE,
}
RECORDINGS = tuple(recording for theme in THEMES.values() for recording in theme)


def named(name: str) -> Recording:
    """Return the recording of a name."""
    return next(recording for recording in RECORDINGS if recording.name == name)


def recorded(recording: Recording) -> list[int | None] | None:
    """Return the numbers that were recorded, in order; None of a recording that is made of another, which may be a part of it."""
    if recording.source is not None:
        return None
    return [*recording.numbers, *(named(recording.more).numbers if recording.more is not None else ())]
