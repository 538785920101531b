"""What a recording is, and the arguments of ffmpeg that many of them share."""

from dataclasses import dataclass
from enum import Enum

from scripts.footage.edits import Edit


class Expect(Enum):
    """What becomes of a recording."""

    READ = "read"
    NOTE = "read, with a note"
    NAMED = "what is bad or missing is named, exit 3"
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
        live: Container for ffmpeg's output to a pipe, in which nothing can be corrected afterwards.
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
        drawn = [
            self.first + (self.frozen.start - 1 if k in self.frozen else k)
            for k in range(self.frames)
        ]
        return [None if k in self.blank else number for k, number in enumerate(drawn)]


X264 = "-c:v libx264 -threads 1 -preset veryfast -crf 20 -pix_fmt yuv420p -g 24"
NO_B = f"{X264} -bf 0"
X265 = (
    "-c:v libx265 -preset veryfast -crf 22 -pix_fmt yuv420p "
    "-x265-params log-level=none:keyint=24:frame-threads=1:pools=1"
)
MJPEG = "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"
MPEG4 = "-c:v mpeg4 -q:v 3 -g 24"
MPEG2 = "-c:v mpeg2video -q:v 3 -g 12"
VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -g 24"
AV1 = "-c:v libsvtav1 -preset 12 -crf 35 -g 24 -pix_fmt yuv420p -svtav1-params logical-processors=1"
SOUND = "-f lavfi -i sine=440:duration={seconds} -c:a {codec}"
FIELDS = "-flags +ilme+ildct -field_order tt"
COVER = (
    "-f lavfi -i color=red:s=64x64:d=0.04 -map 0:v -map 1:v -c:v:1 png -frames:v:1 1 "
    "-disposition:v:1 attached_pic"
)
MILLI = "-enc_time_base 1:1000 -fps_mode passthrough"
SLOW_FAST = "-vf \"settb=1/1000,setpts='if(lt(N,40),N*100,4000+(N-40)*17)'\""
GAP = "-vf \"settb=1/1000,setpts='N*40+if(gte(N,50),300,0)'\""
JITTER = "-vf \"settb=1/1000,setpts='N*40+mod(N*7,11)'\""
READ, NOTE, NAMED, REFUSED, UNSEEN = Expect


def with_sound(codec: str, seconds: float = 3.84) -> str:
    """Return the arguments for a sound of some seconds behind the pictures."""
    return SOUND.format(codec=codec, seconds=seconds) + " -map 0:v -map 1:a"
