# SPDX-License-Identifier: BSD-2-Clause
"""size.py IMAGE KIB: the stripped image must not be larger than that, so that the runtime stays small."""
import os
import subprocess
import sys
import tempfile

import boot

image, limit = boot.find_image(sys.argv[1]), int(sys.argv[2]) * 1024
with tempfile.TemporaryDirectory(prefix="isthmus-size-") as folder:
    stripped = os.path.join(folder, "stripped")
    subprocess.run(["strip", "-o", stripped, image], check=True)
    size = os.path.getsize(stripped)
print(f"{'PASS' if size <= limit else 'FAIL'}: {sys.argv[1]} has {size} bytes stripped, {limit} at most")
sys.exit(size > limit)
