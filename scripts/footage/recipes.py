"""The recordings: what is in each, how ffmpeg makes it, and what becomes of it when it is read."""

from dataclasses import dataclass
from enum import Enum

from footage import edits
from footage.edits import Edit


class Expect(Enum):
    """What becomes of a recording."""

    READ = "read"
    NOTE = "read, with a note"
    NAMED = "bad frames named, exit 3"
    REFUSED = "refused, exit 1"
    UNSEEN = "read as it is, exit 0"


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        name: Of the file; its suffix is the container.
        codec: As people call it.
        what: What is special about it.
        args: Arguments of ffmpeg for the output.
        expect: What becomes of it.
        why: Why it is not simply read.
        source: Recording that it is made of, by name; by default pictures that are drawn.
        before: Arguments of ffmpeg before that input.
        more: Recording whose bytes are put behind those of the first.
        live: Container, where ffmpeg writes to a pipe, in which nothing can be corrected afterwards.
        edit: What happens to the file afterwards.
        first: Number of the first picture that is drawn.
        frames: How many pictures are drawn.
        blank: Those of them, counted from 0, that are all of one gray level.
        frozen: Those that show the picture before again.
        size: Width and height of the pictures as they are shown, px.
        turns: Quarter turns to the left by which pictures are stored turned.
        end_to_end: Whether the real command is tried, too.
    """

    name: str
    codec: str
    what: str
    args: str = "-c copy"
    expect: Expect = Expect.READ
    why: str = ""
    source: str | None = None
    before: str = ""
    more: str | None = None
    live: str | None = None
    edit: Edit | None = None
    first: int = 0
    frames: int = 96
    blank: range = range(0)
    frozen: range = range(0)
    size: tuple[int, int] = (160, 120)
    turns: int = 0
    end_to_end: bool = False

    @property
    def damaged(self) -> bool:
        """Whether frames of it may be missing or unreadable."""
        return self.expect in (Expect.NAMED, Expect.REFUSED, Expect.UNSEEN)

    @property
    def numbers(self) -> list[int | None]:
        """Numbers of the pictures that are drawn; None where one is blank."""
        drawn = [self.first + (self.frozen.start - 1 if k in self.frozen else k) for k in range(self.frames)]
        return [None if k in self.blank else number for k, number in enumerate(drawn)]


X264 = "-c:v libx264 -preset veryfast -crf 20 -pix_fmt yuv420p -g 24"
NO_B = f"{X264} -bf 0"
X265 = "-c:v libx265 -preset veryfast -crf 22 -pix_fmt yuv420p -x265-params log-level=none:keyint=24:frame-threads=1:pools=1"
MJPEG = "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"
MPEG4 = "-c:v mpeg4 -q:v 3 -g 24"
MPEG2 = "-c:v mpeg2video -q:v 3 -g 12"
VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -g 24"
AV1 = "-c:v libsvtav1 -preset 12 -crf 35 -g 24 -pix_fmt yuv420p -svtav1-params logical-processors=1"
SOUND = "-f lavfi -i sine=440:duration={seconds} -c:a {codec}"
FIELDS = "-flags +ilme+ildct -field_order tt"
COVER = "-f lavfi -i color=red:s=64x64:d=0.04 -map 0:v -map 1:v -c:v:1 png -frames:v:1 1 -disposition:v:1 attached_pic"
MILLI = "-enc_time_base 1:1000 -fps_mode passthrough"
SLOW_FAST = "-vf \"settb=1/1000,setpts='if(lt(N,40),N*100,4000+(N-40)*17)'\""
GAP = "-vf \"settb=1/1000,setpts='N*40+if(gte(N,50),300,0)'\""
JITTER = "-vf \"settb=1/1000,setpts='N*40+mod(N*7,11)'\""
READ, NOTE, NAMED, REFUSED, UNSEEN = Expect


def _sound(codec: str, seconds: float = 3.84) -> str:
    return SOUND.format(codec=codec, seconds=seconds) + " -map 0:v -map 1:a"


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
    Recording("h264.mpg", "H.264", "in a program stream", f"{X264} -f mpeg"),
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
    Recording("xvid.avi", "MPEG-4", "Xvid, B-frames", "-c:v libxvid -q:v 2 -g 24 -bf 2"),
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
    Recording("slow_fast.mp4", "H.264", "variable rate: slow, then fast", f"{SLOW_FAST} {X264} {MILLI}"),
    Recording("slow_fast.mkv", "H.264", "variable rate: slow, then fast", source="slow_fast.mp4"),
    Recording("slow_fast.webm", "VP9", "variable rate: slow, then fast", f"{SLOW_FAST} {VP9} {MILLI}"),
    Recording("slow_fast.ts", "H.264", "variable rate: slow, then fast", f"{SLOW_FAST} {X264} {MILLI}"),
    Recording("jitter.mp4", "H.264", "times that jitter", f"{JITTER} {X264} {MILLI}"),
    Recording("jitter.mkv", "H.264", "times that jitter, no B-frames", f"{JITTER} {NO_B} {MILLI}"),
    Recording("gap.mp4", "H.264", "0.3 s missing in the middle", f"{GAP} {X264} {MILLI}", end_to_end=True),
    Recording("gap.mkv", "H.264", "0.3 s missing in the middle", f"{GAP} {NO_B} {MILLI}"),
    Recording("gap.ts", "MPEG-2", "0.3 s missing in the middle", f"{GAP} {MPEG2} -r 25 -fps_mode passthrough"),
    Recording("gap_fragmented.mp4", "H.264", "0.3 s missing, fragmented", f"{GAP} {X264} {MILLI} -movflags frag_keyframe+empty_moov"),
    Recording("late.mkv", "H.264", "begins at 8 s", source="h264.mp4", before="-itsoffset 8"),
    Recording("late.mp4", "H.264", "begins at 8 s", source="h264.mp4", before="-itsoffset 8"),
    Recording("late.ts", "H.264", "begins at 3600 s", source="h264.mp4", before="-itsoffset 3600"),
    Recording("late.webm", "VP9", "begins at 8 s", source="vp9.webm", before="-itsoffset 8"),
    Recording("trimmed.mp4", "H.264", "trimmed without re-encoding (edit list)", source="h264.mp4", before="-ss 1.3", end_to_end=True),
    Recording("trimmed.mov", "H.264", "trimmed without re-encoding (edit list)", source="h264_no_b.mp4", before="-ss 1.3"),
    Recording("trimmed_end.mp4", "H.264", "end trimmed without re-encoding", source="h264.mp4", args="-t 2.2 -c copy"),
    Recording("trimmed.mkv", "H.264", "trimmed without re-encoding", source="h264.mp4", before="-ss 1.3"),
    Recording("trimmed.ts", "H.264", "trimmed without re-encoding", source="h264.mp4", before="-ss 1.3"),
    Recording("trimmed_open_gop.mp4", "H.264", "open groups, trimmed without re-encoding", source="h264_open_gop.mp4", before="-ss 1.3"),
    Recording("trimmed.webm", "VP9", "trimmed without re-encoding", source="vp9.webm", before="-ss 1.3"),
    Recording("sound.mp4", "H.264", "with sound", f"{_sound('aac')} {X264}"),
    Recording("sound.mkv", "H.264", "with sound", f"{_sound('libopus')} {X264}", end_to_end=True),
    Recording("sound_longer.mp4", "H.264", "sound that is longer than the pictures", f"{_sound('aac', 6)} {X264}"),
    Recording("sound_longer.mkv", "H.264", "sound that is longer than the pictures", f"{_sound('ac3', 6)} {X264}"),
    Recording("sound_longer.avi", "MPEG-4", "sound that is longer than the pictures", f"{_sound('mp2', 6)} {MPEG4}"),
    Recording("sound_longer.webm", "VP9", "sound that is longer than the pictures", f"{_sound('libopus', 6)} {VP9}"),
    Recording("sound_fragmented.mp4", "H.264", "with sound, fragmented", f"{_sound('aac')} {X264} -movflags frag_keyframe+empty_moov"),
    Recording("sound_trimmed.mp4", "H.264", "with sound, trimmed without re-encoding", source="sound.mp4", before="-ss 1.3"),
    Recording(
        "sound_first.mkv", "H.264", "sound is the first stream", f"{SOUND.format(codec='libopus', seconds=4)} -map 1:a -map 0:v {X264}"
    ),
    Recording("sound.ts", "H.264", "with sound", f"{_sound('aac')} {X264}"),
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
    Recording("back_in_time.mkv", "MJPEG", "a clock that was set back while recording", MJPEG, edit=edits.set_back(48, 400)),
    Recording("swapped_times.mkv", "MJPEG", "times of two frames swapped", MJPEG, edit=edits.swap_times(40, 45)),
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
    Recording("restarted.mpg", "MPEG-2", "two recordings, one behind the other", MPEG2, more="second.mpg"),
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
    Recording("black_stretch.mp4", "H.264", "20 black frames", X264, blank=range(40, 60), end_to_end=True),
    Recording("black_stretch.avi", "MJPEG", "20 black frames", MJPEG, blank=range(40, 60)),
    Recording("repeated_stretch.mkv", "FFV1", "one picture for 20 frames", "-c:v ffv1 -level 3 -pix_fmt yuv420p", frozen=range(40, 60)),
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
    Recording("larger.mkv", "H.264", "a size that changes in the middle", source="larger.ts"),
    Recording(
        "second_larger.mpg", "MPEG-2", "second half of another, 320 x 240 px", f"{MPEG2} -output_ts_offset 3.84", first=96, size=(320, 240)
    ),
    Recording("larger.mpg", "MPEG-2", "a size that changes in the middle", MPEG2, more="second_larger.mpg"),
)
HEADERS = (
    Recording("says_fewer.avi", "MJPEG", "header says 60 of 96 frames", source="mjpeg.avi", edit=edits.stale_avi(60), end_to_end=True),
    Recording("says_none.avi", "MJPEG", "header says no frames", source="mjpeg.avi", edit=edits.stale_avi(0)),
    Recording("says_more.avi", "MJPEG", "header says 200 frames of 96", source="mjpeg.avi", edit=edits.stale_avi(200)),
    Recording(
        "empty_chunks.avi", "MJPEG", "empty chunks for dropped frames", source="mjpeg.avi", edit=edits.with_empty_chunks, end_to_end=True
    ),
    Recording("empty_chunks_mpeg4.avi", "MPEG-4", "empty chunks for dropped frames", MPEG4, edit=edits.with_empty_chunks),
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
    Recording("bad_end.mp4", "H.264", "one frame near the end damaged", source="h264.mp4", edit=edits.damage(0.97), expect=NAMED),
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
RECORDINGS = (*CONTAINERS, *CODECS, *PIXELS, *TIME, *CONTENT, *HEADERS, *DAMAGE)


def named(name: str) -> Recording:
    """Return the recording of a name."""
    return next(recording for recording in RECORDINGS if recording.name == name)


def recorded(recording: Recording) -> list[int | None] | None:
    """Return the numbers that were recorded, in order; None of a recording that is made of another, which may be a part of it."""
    if recording.source is not None:
        return None
    return [*recording.numbers, *(named(recording.more).numbers if recording.more is not None else ())]
