#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mutants of msg/: each is one line changed in a copy; the simulator must fail on each of them.

Usage: mutants.py ROOT COMPILER [NAME...]

A mutant whose line is no longer there, or is there more than once, is a failure: mend the list."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

# name: (file, line as it stands, what it becomes, seeds to try)
MUTANTS = {
    # ---- fences
    "no-fence-publish": ("transfer.h",
        "\t// The record must be visible before we look: pairs with the fence in mark_asleep.\n"
        "\tregion_fence();\n", "", 8000),
    "no-fence-sleep": ("wait.c",
        "\t// channel_published.\n\tregion_fence();\n", "", 8000),
    "no-fence-land": ("land.c", "\tregion_fence();\n\tcontext_relax(region->context);\n", "",
        8000),
    "no-fence-name": ("endpoint.c",
        "\tregion_fence();\n\tcontext_relax(region->context);\n", "", 8000),
    # ---- sleeping and waking
    "sleep-without-mark": ("wait.c",
        "\t\t\tregion_store32(&region->slot->asleep, region->asleep);\n", "",
        8000),
    "sleep-without-look": ("wait.c",
        "\tif (ready(arg)) {\n\t\tops->cancel",
        "\tif (0) {\n\t\tops->cancel", 8000),
    "asleep-same-value": ("wait.c", "\t\t\tregion->asleep++;\n",
        "\t\t\tregion->asleep--;\n", 8000),
    # ---- the ring
    "next-header-not-cleared": ("ring.h",
        "\tif (__builtin_expect(ring_header_valid(region_load64(word), position), 0))",
        "\tif (0)", 8000),
    "first-header-first": ("ring.h",
        "\tif (tx->newest == tx->published)\n\t\ttx->first = header;\n\telse\n",
        "\tif (tx->newest == tx->published)\n\t\ttx->first = header;\n"
        "\tif (1)\n", 8000),
    "room-not-rounded": ("ring.h",
        "\tuint32_t end = (tx->tail + ring_record(len) + RING_LINE - 1) & ~(RING_LINE - 1);",
        "\tuint32_t end = tx->tail + ring_record(len);", 8000),
    "room-one-too-many": ("ring.h", "\treturn end - tx->released <= tx->mask + 1;",
        "\treturn end - tx->released <= tx->mask + 1 + RING_LINE;", 8000),
    "position-not-in-header": ("ring.h",
        "\treturn (uint32_t)(word >> 40) == ((position >> 4) & 0xffffff) && (word >> 32 & 0xf);",
        "\treturn (void)position, (word >> 32 & 0xf);", 8000),
    "released-before-read": ("transfer.c",
        "\tif (len > size)\n\t\treturn -EMSGSIZE;\n\tregion_copy_out(",
        "\tif (len > size)\n\t\treturn -EMSGSIZE;\n"
        "\tregion_store_release32(&channel->mine->released, ring_after(channel->rx.head, "
        "header));\n\tregion_copy_out(", 8000),
    "ring-not-checked": ("channel.c",
        "\t\t!land_belongs(region, channel->peer_slot, offset, ring_footprint(size)))",
        "\t\t0)", 8000),
    # ---- presence
    "hearts-not-watched": ("presence.c",
        "\t\tif (view->still_ns >= region->geo.death_ns) {", "\t\tif (0) {",
        8000),
    "hearts-too-strict": ("presence.c",
        "\t\tview->still_ns += elapsed;", "\t\tview->still_ns += 16 * elapsed;",
        8000),
    "epoch-not-raised": ("presence.c", "\tepoch = epoch + 1 ? epoch + 1 : 1;",
        "\tepoch = epoch ? epoch : 1;", 8000),
    "claim-not-compared": ("presence.c",
        "\tif (!region_cas64(&slot->claim, claim, life))\n\t\treturn false;",
        "\tregion_store64(&slot->claim, life);", 8000),
    "clears-a-successor": ("presence.c",
        "\t\tif (region_load64(&slot->claim) != region->life)\n"
        "\t\t\treturn false;\n\t\tregion_store64(word, 0);",
        "\t\tregion_store64(word, 0);", 8000),
    "slot-not-cleared": ("presence.c", "\t\tregion_store64(word, 0);", "", 8000),
    "slot-reused-too-soon": ("presence.c",
        "\treturn !claim || !land_referred(region, index, CLAIM_WITH(claim, CLAIM_HELD));",
        "\treturn region != NULL || index;", 8000),
    "eviction-not-noticed": ("transfer.c",
        "\tif (!channel_slot_ours(channel)) {\n\t\tpresence_check_self(channel->region);\n"
        "\t\treturn channel->error;\n\t}\n\tchannel_count_received",
        "\tchannel_count_received", 8000),
    # ---- land, names, channels
    "land-not-judged": ("land.c",
        "\twhile ((verdict = judge(region, index, *first, n)) == VERDICT_WAIT) {",
        "\twhile ((verdict = VERDICT_OURS) == VERDICT_WAIT) {", 8000),
    "land-both-win": ("land.c",
        "\t\tverdict = DEED_STATE(all[i].deed) == DEED_TENTATIVE && all[i].slot > "
        "region->index ?\n\t\t\tVERDICT_WAIT : VERDICT_LOST;",
        "\t\tverdict = DEED_STATE(all[i].deed) == DEED_TENTATIVE ?\n"
        "\t\t\tVERDICT_OURS : VERDICT_LOST;", 8000),
    "land-of-the-dead": ("land.c",
        "\t       land_referred(region, slot, CLAIM_WITH(claim, CLAIM_HELD));",
        "\t       0;", 8000),
    "land-not-returned": ("land.c",
        "\t\tregion_store_release64(slot_deed(region, region->index, index), "
        "DEED_NONE);", "\t\treturn;", 8000),
    "linger-not": ("channel.c",
        "\tchannel->lingering = true;\n\tpresence_wake(region, channel->peer_slot, false);"
        "\n\tlinger_check(channel);", "\tchannel_destroy(channel);", 8000),
    "linger-for-ever": ("channel.c",
        "\tif (channel->lingering) {\n\t\tif (!channel->region->error)\n"
        "\t\t\tlinger_check(channel);\n\t\treturn;",
        "\tif (channel->lingering) {\n\t\treturn;", 8000),
    "buffer-freed-early": ("buffer.c", "\tif (buffer->held || buffer->busy)\n",
        "\tif (buffer->held)\n", 8000),
}

FLAGS = ["-std=gnu11", "-O1", "-w", '-DMSG_INTERPOSE="tests/sim/access.inc"']
JOBS = 2


def compile_all(compiler, root, work, files):
    """Objects of the files, with root's copies found first."""
    objects = []
    for path in files:
        out = os.path.join(work, os.path.basename(os.path.dirname(path)) + "_" +
                           os.path.basename(path)[:-2] + ".o")
        subprocess.run([compiler, *FLAGS, f"-I{work}", f"-I{root}", f"-I{root}/include", "-c",
                        path, "-o", out], check=True)
        objects.append(out)
    return objects


def mutate(root, work, name):
    """A copy of msg/ in work with the mutant's line changed. None, or why not."""
    file, line, becomes, _ = MUTANTS[name]
    shutil.copytree(os.path.join(root, "msg"), os.path.join(work, "msg"))
    path = os.path.join(work, "msg", file)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(line) != 1:
        return f"stands {text.count(line)} times in msg/{file}: {line.strip()!r}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(line, becomes))
    return None


def affected(work, file):
    """The sources that a change of file concerns."""
    sources = sorted(glob.glob(os.path.join(work, "msg", "*.c")))
    return [s for s in sources if os.path.basename(s) == file] or sources


def run(compiler, root, base, name):
    """(caught, what was seen)"""
    with tempfile.TemporaryDirectory(prefix="isthmus-mutant-") as work:
        wrong = mutate(root, work, name)
        if wrong:
            return False, wrong
        changed = affected(work, MUTANTS[name][0])
        try:
            objects = compile_all(compiler, root, work, changed)
        except subprocess.CalledProcessError:
            return False, "does not compile"
        replaced = {os.path.basename(o) for o in objects}
        objects += [o for o in base if os.path.basename(o) not in replaced]
        program = os.path.join(work, "sim")
        subprocess.run([compiler, *objects, "-o", program], check=True)
        try:
            done = subprocess.run([program, "--jobs", "1", "--seeds", str(MUTANTS[name][3])],
                                  capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            return False, "neither passed nor failed in 120 s"
        if done.returncode == 0:
            return False, f"not seen in {MUTANTS[name][3]} seeds"
        fails = re.findall(r"^FAIL.*$", done.stdout, re.M)
        return bool(fails), fails[-1] if fails else done.stdout[-200:]


def main():
    root, compiler = sys.argv[1:3]
    names = sys.argv[3:] or list(MUTANTS)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="isthmus-mutants-") as work, \
            concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        sources = sorted(glob.glob(f"{root}/msg/*.c")) + sorted(glob.glob(f"{root}/tests/sim/*.c"))
        halves = list(pool.map(lambda part: compile_all(compiler, root, work, part),
                               [sources[0::2], sources[1::2]]))
        base = halves[0] + halves[1]
        for name, (caught, what) in zip(names, pool.map(
                lambda n: run(compiler, root, base, n), names)):
            print(f"{'ok  ' if caught else 'FAIL'} {name}: {what}", flush=True)
            missed += not caught
    print(f"SUMMARY {len(names)} mutants, {missed} not caught")
    return 1 if missed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
