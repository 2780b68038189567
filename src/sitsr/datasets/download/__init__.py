"""Files from the web that arrive whole, or not at all.

``pieces`` gives the bytes of a file in their order, over as many connections as it takes. It has
two sinks: ``fetch`` writes a file, by way of NAME.part, which a later call goes on with; ``Stream``
is read by whoever unpacks an archive that there is no room for. What a file is, is settled by its
checksum; of a file that changes on the way nothing is kept.
"""

from sitsr.datasets.download.connection import FileChanged, Patience, Version, fetch_text, pieces
from sitsr.datasets.download.files import ANEW, Progress, fetch, no_progress
from sitsr.datasets.download.room import check_room, full_disk, in_words
from sitsr.datasets.download.stream import Stream

__all__ = [
    "ANEW",
    "FileChanged",
    "Patience",
    "Progress",
    "Stream",
    "Version",
    "check_room",
    "fetch",
    "fetch_text",
    "full_disk",
    "in_words",
    "no_progress",
    "pieces",
]
