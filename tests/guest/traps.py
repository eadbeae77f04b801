# SPDX-License-Identifier: BSD-2-Clause
"""Boots `traps MODE` for a group of modes and reads each panic as a human would: the fault's name,
the address, the function, the error code's meaning, every register, the stack trace.

Usage: traps.py GROUP [--machine M] [--cpu C]     GROUP: faults, raise or paths"""
import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import boot

# What faults.S loads; rflags without RF, which the CPU adds to the copy that a fault pushes.
PRESET = {
    "rax": 0xa0a1a2a3a4a5a6a7, "rbx": 0xb0b1b2b3b4b5b6b7, "rcx": 0xc0c1c2c3c4c5c6c7,
    "rdx": 0xd0d1d2d3d4d5d6d7, "rsi": 0x5152535455565758, "rdi": 0xd1d2d3d4d5d6d7d8,
    "rbp": 0xb1b2b3b4b5b6b7b8, "r8": 0x0808080808080808, "r9": 0x0909090909090909,
    "r10": 0x1010101010101010, "r11": 0x1111111111111111, "r12": 0x1212121212121212,
    "r13": 0x1313131313131313, "r14": 0x1414141414141414, "r15": 0x1515151515151515,
    "rflags": 0xed7, "cs": 8, "ss": 16,
}
RF = 1 << 16

# mode: (headline after "traps: ", vector line, what else is known of rip and cr2).
# {text} and the like are what the guest announced; cr2 None: not looked at.
FAULTS = {
    "text_write": (r"page fault \(#PF\): write to 0x{text} \(text of fault_text_write\+0x0\) in "
                   r"fault_text_write\+0x\w+", r"vector 14 .*error 0x3 \(write, page present",
                   {"cr2": "text"}),
    "rodata_write": (r"page fault \(#PF\): write to 0x{constant} \(read-only data of the image\) "
                     r"in fault_rodata_write\+0x", r"vector 14 .*error 0x3 \(write",
                     {"cr2": "constant"}),
    "data_exec": (r"page fault \(#PF\): execution of 0x{data} \(data of the image\) in 0x{data}, "
                  r"called from fault_data_exec\+0x", r"error 0x11 \(execution, page present",
                  {"cr2": "data", "rip": "data", "rsp_offset": -8}),
    "null_read": (r"page fault \(#PF\): read of 0x0 \(null pointer\) in fault_null_read\+0x",
                  r"vector 14 .*error 0x0 \(read, page not mapped\)", {"cr2": 0}),
    "null_write": (r"page fault \(#PF\): write to 0x18 \(null pointer\) in fault_null_write\+0x",
                   r"error 0x2 \(write, page not mapped\)", {"cr2": 0x18}),
    "null_call": (r"page fault \(#PF\): execution of 0x0 \(null pointer\) in 0x0, called from "
                  r"fault_null_call\+0x", r"error 0x10 \(execution, page not mapped\)",
                  {"cr2": 0, "rip": 0, "rsp_offset": -8}),
    "divide": (r"divide error \(#DE\) in fault_divide\+0x", r"vector 0 \(#DE\).*no error code", {}),
    "invalid": (r"invalid opcode \(#UD\) in fault_invalid\+0x", r"vector 6 .*no error code", {}),
    "general_protection": (r"general protection \(#GP\) in fault_general_protection\+0x",
                           r"vector 13 .*error 0x0 \(no selector.*canonical", {}),
    # TCG takes every address that isn't canonical for a #GP; hardware has #SS for the stack's.
    "stack_segment": (r"(stack-segment fault \(#SS\)|general protection \(#GP\)) in "
                      r"fault_stack_segment\+0x", r"vector 1[23] .*error 0x0 ", {}),
    "selector": (r"general protection \(#GP\) in fault_selector\+0x",
                 r"vector 13 .*error 0x128 \(GDT entry 0x25\)", {}),
    "breakpoint": (r"breakpoint \(#BP\) in fault_breakpoint\+0x", r"vector 3 .*no error code",
                   {"rip_offset": 1}),
    "double": (r"double fault \(#DF\) in fault_double\+0x", r"vector 8 \(#DF\).*error 0x0",
               {"rip_any": True}),
}

NAMES = {
    0: ("divide error", "#DE"), 1: ("debug", "#DB"), 2: ("non-maskable interrupt", "NMI"),
    3: ("breakpoint", "#BP"), 4: ("overflow", "#OF"), 5: ("bound range exceeded", "#BR"),
    6: ("invalid opcode", "#UD"), 7: ("device not available", "#NM"),
    9: ("coprocessor segment overrun", "#9"), 15: ("reserved exception 15", "#15"),
    16: ("x87 floating-point error", "#MF"), 18: ("machine check", "#MC"),
    19: ("SIMD floating-point exception", "#XM"), 20: ("virtualization exception", "#VE"),
    28: ("hypervisor injection", "#HV"),
}
NAMES.update({v: (f"reserved exception {v}", f"#{v}") for v in (22, 23, 24, 25, 26, 27, 31)})


def raise_case(vector):
    name, short = NAMES[vector]
    return (rf"{re.escape(name)} \({short}\) in fault_raise_{vector}\+0x",
            rf"vector {vector} \({short}\) on cpu 0, no error code", {"rip_offset": 2})


# Panics whose registers are the compiler's business: what has to be there, what must not.
TRACE_TO_MAIN = r"panic   #\d+ +\w{16} main\+0x"
PATHS = {
    "stack_overflow": ([r"panic traps: stack overflow in use_up\+0x\w+: the main stack of \d+ KiB",
                        r"panic vector 14 .*\(write, page not mapped\)",
                        r"and \d{3,} more of these", TRACE_TO_MAIN], []),
    "large_frame": ([r"panic traps: stack overflow in large_frame\+0x", TRACE_TO_MAIN], []),
    "handler": ([r"panic traps: page fault \(#PF\): read of 0x10 \(null pointer\) in "
                 r"(read_through|handle_badly)\+0x", r"#\d+ +\w{16} vector_dispatch\+0x",
                 r"#\d+ +\w{16} cpu_common_entry\+0x", r"#\d+ +\w{16} wait_for_handler\+0x",
                 TRACE_TO_MAIN], []),
    "handler_overflow": ([r"panic traps: stack overflow in use_up\+0x\w+: the interrupt stack",
                          r"#\d+ +\w{16} vector_dispatch\+0x", TRACE_TO_MAIN], []),
    "heap_exec": ([r"panic traps: page fault \(#PF\): execution of 0x{heap} \(outside the image\) "
                   r"in 0x{heap}, called from (run_on_heap|main)\+0x",
                   r"error 0x11 \(execution"], []),
    "panic": ([r"panic a reason with number 42$", r"panic in image traps, on cpu 0",
               r"panic   #0 +\w{16} (main|run)\+0x"], []),
    "panic_fault": ([r"panic inside the panic: page fault \(#PF\) in read_through\+0x\w+, "
                     r"cr2 0000000000000020$"], ["the first reason"]),
    "panic_fault_twice": ([], ["panic"]),
    "panic_fault_always": ([], ["panic"]),
}


class Panic:
    """A guest's output, taken apart."""

    def __init__(self, output):
        self.announced = {k: int(v, 16) for k, v in
                          re.findall(r"^expect (\w+) ([0-9a-f]{16})\r?$", output, re.M)}
        self.lines = re.findall(r"^\[ *\d+\.\d{6}\] panic (.*?)\r?$", output, re.M)
        self.registers = {k: int(v, 16) for k, v in re.findall(
            r"\b(r[a-z0-9]{1,2}|r1[0-5]|cr[0234]|rflags|cs|ss|efer) +([0-9a-f]{4,16})\b",
            "\n".join(l for l in self.lines if not l.startswith((" ", "code"))))}

    def fill(self, pattern):
        for name, value in self.announced.items():
            pattern = pattern.replace("{" + name + "}", f"{value:x}")
        return pattern


def check_fault(panic, mode, case):
    headline, vector, known = case
    found = []
    lines, registers, announced = panic.lines, panic.registers, panic.announced
    if not lines or not re.match("traps: " + panic.fill(headline), lines[0]):
        found.append(f"first line is not {panic.fill(headline)!r}")
    if len(lines) < 2 or not re.match("vector", lines[1]) or not re.search(vector, lines[1]):
        found.append(f"second line is not {vector!r}")

    expected = dict(PRESET)
    expected["rsp"] = announced["rsp"] + known.get("rsp_offset", 0)
    rip = known.get("rip", announced["rip"] + known.get("rip_offset", 0))
    if not known.get("rip_any"):
        expected["rip"] = announced[rip] if isinstance(rip, str) else rip
    if known.get("cr2") is not None:
        cr2 = known["cr2"]
        expected["cr2"] = announced[cr2] if isinstance(cr2, str) else cr2
    for name, value in expected.items():
        seen = registers.get(name)
        if seen is not None and name == "rflags":
            seen &= ~RF
        if seen != value:
            found.append(f"{name} is {seen if seen is None else hex(seen)}, was {value:#x}")
    for name, bits in (("cr0", 0x80010001), ("cr4", 0x620), ("efer", 0x900)):
        if registers.get(name, 0) & bits != bits:
            found.append(f"{name} lacks some of {bits:#x}")
    trace = [l for l in lines if re.match(r"  #\d+", l)]
    if not any(re.search(rf"\bfault_{mode}\+0x", l) for l in trace[:2]):
        found.append("the stack trace doesn't begin with the function")
    if not any(re.search(r"\bmain\+0x", l) for l in trace):
        found.append("the stack trace doesn't lead to main")
    return found


def check_path(panic, output, case):
    expect, refuse = case
    text = "\n".join("panic " + l for l in panic.lines)
    found = [f"nothing like {panic.fill(p)!r}" for p in expect
             if not re.search(panic.fill(p), text, re.M)]
    found += [f"there is {p!r}" for p in refuse if re.search(p, text)]
    if "still alive" in output:
        found.append("the guest went on")
    return found


def nmi(options):
    """An operator's NMI, through QMP, into a guest that sleeps."""
    with tempfile.TemporaryDirectory(prefix="isthmus-nmi-") as folder:
        path = os.path.join(folder, "qmp")
        line = boot.qemu_line(boot.find_image("traps"), append="nmi",
                              extra=["-qmp", f"unix:{path},server=on,wait=off"], **options)
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        output = b""
        try:
            while b"ready for NMI" not in output:
                got = os.read(process.stdout.fileno(), 4096)
                if not got:
                    break
                output += got
            time.sleep(0.1)     # for it to fall asleep
            with socket.socket(socket.AF_UNIX) as monitor:
                monitor.settimeout(20)
                monitor.connect(path)
                with monitor.makefile("rwb") as talk:
                    talk.readline()
                    for command in ("qmp_capabilities", "inject-nmi"):
                        talk.write(json.dumps({"execute": command}).encode() + b"\n")
                        talk.flush()
                        while b"return" not in talk.readline():
                            pass
            output += process.communicate(timeout=30)[0]
        except (OSError, subprocess.TimeoutExpired) as error:
            process.kill()
            output += process.communicate()[0]
            print("FAIL nmi:", error)
        text = output.decode("utf-8", "replace")
        return boot.Result(process.returncode, text, line)


NMI = ([r"panic traps: non-maskable interrupt \(NMI\) in \w+\+0x",
        r"panic vector 2 \(NMI\)", r"#\d+ +\w{16} wait_for_nmi\+0x|#\d+ +\w{16} main\+0x"], [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("group", choices=("faults", "raise", "paths"))
    parser.add_argument("--machine", default="q35")
    parser.add_argument("--cpu")
    a = parser.parse_args()
    options = {"machine": a.machine, "cpu": a.cpu}
    boot.need_qemu()

    cases = {"faults": FAULTS, "paths": {**PATHS, "nmi": NMI},
             "raise": {f"raise_{v}": raise_case(v) for v in NAMES}}[a.group]
    failed = 0
    started = time.monotonic()
    for mode, case in cases.items():
        if mode == "nmi":
            result = nmi(options)
        else:
            result = boot.run("traps", append=mode, **options)
        panic = Panic(result.output)
        found = boot.faults(result, boot.PANIC)
        if a.group == "paths":
            found += check_path(panic, result.output, case)
        elif "rip" not in panic.announced:
            found.append("the guest announced nothing")
        else:
            found += check_fault(panic, mode, case)
        if found:
            boot.report(result, [f"{mode}: {f}" for f in found])
            failed += 1
    print(f"{'FAIL' if failed else 'PASS'} {len(cases) - failed} of {len(cases)} panics are right "
          f"({time.monotonic() - started:.1f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
