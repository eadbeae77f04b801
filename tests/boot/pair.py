# SPDX-License-Identifier: BSD-2-Clause
"""pair.py TOPOLOGY: ping-pong between guests that boot in different ways, started by the launcher."""
import os
import sys

import media

for kind, bios in (("uefi", "ovmf"), ("disk", "ovmf"), ("iso", "seabios")):
    why = media.lacks(kind, bios)
    with open(sys.argv[1], encoding="utf-8") as f:
        if why and f"boot={kind}" in f.read():
            media.skip(why)
os.execv(media.TOOL, [media.TOOL, "run", sys.argv[1], "--timeout", "140", "--", "--doorbell", "200",
                      "--polled", "2000"])
