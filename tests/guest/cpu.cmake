# SPDX-License-Identifier: BSD-2-Clause
# Booted tests of cpu/ and log/: every panic, vectors, timers and the clock.
isthmus_test_image(traps traps.c faults.S)
