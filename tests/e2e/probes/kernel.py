"""System calls that a dyno has no business with, by their numbers, in all three ways to call an x86-64 kernel."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket

from probes.probing import calls, probe, refusal, refusals

CLONE_NEWUSER = 0x1000_0000


@probe("EPERM")
def bpf_programs() -> str:
    """bpf: make a map, load a program."""
    return calls((321, 0, bytes(128), 72), (321, 5, bytes(128), 72))


@probe("EPERM")
def performance_events() -> str:
    """perf_event_open on itself and on a whole processor."""
    attributes = ctypes.create_string_buffer((1).to_bytes(4, "little") + (112).to_bytes(4, "little"), 112)
    return calls((298, attributes, 0, -1, -1, 0), (298, attributes, -1, 0, -1, 0))


@probe("EPERM")
def io_uring() -> str:
    """io_uring_setup, _enter, _register."""
    return calls((425, 4, bytes(120)), (426, 0, 1, 0, 0, 0), (427, 0, 0, 0, 0))


@probe("EPERM")
def userfaultfd() -> str:
    """userfaultfd, also for user mode only."""
    return calls((323, 0), (323, 1))


@probe("EPERM")
def keyrings() -> str:
    """add_key, request_key, keyctl: keys have no namespace."""
    return calls((248, b"user", b"k", b"v", 1, -3), (249, b"user", b"k", None, -3), (250, 0, -3, 1))


@probe("EPERM")
def kernel_modules() -> str:
    """init_module, finit_module, delete_module."""
    return calls((175, b"", 0, b""), (313, 0, b"", 0), (176, b"overlay", 0))


@probe("EPERM")
def another_kernel() -> str:
    """kexec_load, kexec_file_load, reboot."""
    halt = (169, ctypes.c_uint(0xFEE1DEAD), ctypes.c_uint(672274793), ctypes.c_uint(0x89ABCDEF), None)
    return calls((246, 0, 0, None, 0), (320, 0, 0, 0, None, 0), halt)


@probe("EPERM")
def clock() -> str:
    """settimeofday, clock_settime, adjtimex."""
    moment = bytes(16)
    adjust = ctypes.create_string_buffer((2).to_bytes(4, "little"), 208)
    return calls((164, moment, None), (227, 0, moment), (159, adjust))


@probe("EPERM")
def swap_quota_accounting() -> str:
    """swapon, swapoff, quotactl, acct."""
    return calls((167, b"/app/x", 0), (168, b"/app/x"), (179, 0, None, 0, None), (163, b"/app/x"))


@probe("EPERM")
def kernel_log() -> str:
    """syslog: read and clear the kernel's log."""
    return calls((103, 3, bytes(64), 64), (103, 5, None, 0))


@probe("EPERM or ENOSYS")
def machine_ports() -> str:
    """iopl, ioperm."""
    return calls((172, 3), (173, 0x70, 2, 1))


@probe("EPERM")
def names_of_the_machine() -> str:
    """sethostname, setdomainname, vhangup."""
    return calls((170, b"x", 1), (171, b"x", 1), (153,))


@probe("EPERM")
def file_system_watch() -> str:
    """fanotify_init: counts against root's limit on the machine."""
    return calls((300, 0x200, 0))


@probe("ENOSYS")
def asynchronous_io() -> str:
    """io_setup: one number for the whole machine, which a single dyno could use up."""
    context = ctypes.c_ulong(0)
    return calls((206, 60000, ctypes.byref(context)))


@probe("EPERM")
def page_at_zero() -> str:
    """personality(MMAP_PAGE_ZERO); mmap at address 0."""
    fixed = (9, None, 4096, 3, 0x32, -1, 0)
    return calls((135, 0x0100000), fixed)


@probe("EAFNOSUPPORT")
def rare_sockets() -> str:
    """Sockets of families other than IP, unix, netlink: vsock (the hypervisor), alg, key, can, tipc, rds, xdp, smc."""
    families = (3, 9, 15, 21, 29, 30, 31, 38, 40, 43, 44)
    pairs = [(family, kind) for family in families for kind in (2, 5)]
    return refusals(*(lambda pair=pair: socket.socket(*pair) for pair in pairs))


@probe("EPERM")
def raw_sockets() -> str:
    """Raw IP (forged and ICMP redirect packets) and packet sockets (ARP)."""
    raw = [lambda kind=kind: socket.socket(socket.AF_INET, socket.SOCK_RAW, kind) for kind in (1, 6, 255)]
    return refusals(*raw, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300))


def _machine_code(eax: int, ebx: int, entry: bytes) -> int:
    """The result of a call made by `entry` with eax and ebx (rdi for `syscall`)."""
    code = (
        b"\x53\x57\xb8"
        + eax.to_bytes(4, "little")
        + b"\xbb"
        + ebx.to_bytes(4, "little")
        + b"\x89\xdf\x31\xc9\x31\xd2\x31\xf6"
    )
    area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    area.write(code + entry + b"\x5f\x5b\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())


def _refused(result: int) -> str:
    return errno.errorcode.get(-result, str(result))


@probe("EPERM EPERM ENOSYS")
def calls_of_32_bits() -> str:
    """int 0x80: io_uring_setup, unshare(CLONE_NEWUSER) and socketcall by their old numbers."""
    wanted = ((425, 4), (310, CLONE_NEWUSER), (102, 1))
    return " ".join(_refused(_machine_code(number, argument, b"\xcd\x80")) for number, argument in wanted)


@probe("refused")
def calls_of_x32() -> str:
    """The x32 numbers of io_uring_setup and unshare."""
    entry = b"\x0f\x05"
    found = {_refused(_machine_code(0x4000_0000 | number, CLONE_NEWUSER, entry)) for number in (425, 272)}
    return "refused" if found <= {"EPERM", "ENOSYS"} else ", ".join(found)


@probe("EPERM")
def users_and_groups() -> str:
    """setuid, setgid, setgroups to root; capset."""
    header, wanted = (0x20080522).to_bytes(4, "little") + bytes(4), b"\xff" * 24
    return refusals(
        lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0)
    ) + ("" if (said := calls((126, header, wanted))) == "EPERM" else f", capset {said}")


@probe("EPERM")
def watched_by_the_kernel_alone() -> str:
    """Take the seccomp filter or no_new_privs off again."""
    return refusal(_filter_off)


def _filter_off() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 0, 0, 0, 0) == 0 or libc.prctl(22, 0) == 0:
        return "off"
    raise OSError(errno.EPERM, "kept")
