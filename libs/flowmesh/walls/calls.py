"""The filter of system calls: none that look into other processes, mount, or listen.

Connections go to the warden (warden.py), as a filter cannot read addresses.
"""

import ctypes
import platform
import struct

from flowmesh.walls import kernel

# Numbers in the order of these names:
#   refused: ptrace, process_vm_readv, process_vm_writev, mount, umount2, pivot_root, chroot,
#     open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr, bpf, keyctl, add_key,
#     request_key, unshare, setns, perf_event_open, userfaultfd, io_uring_setup, io_uring_enter,
#     io_uring_register, pidfd_getfd, kexec_load, kexec_file_load, init_module, finit_module,
#     delete_module, open_by_handle_at, name_to_handle_at, quotactl, reboot, swapon, swapoff,
#     settimeofday, clock_settime, adjtimex, clock_adjtime, acct, syslog, kcmp, personality,
#     vhangup, sethostname, setdomainname, process_madvise; on x86_64 also iopl, ioperm
_REFUSED = {
    "x86_64": (101, 310, 311, 165, 166, 155, 161, 428, 429, 430, 431, 432, 433, 442, 321, 250, 248,
               249, 272, 308, 298, 323, 425, 426, 427, 438, 246, 320, 175, 313, 176, 304, 303, 179,
               169, 167, 168, 164, 227, 159, 305, 163, 103, 312, 135, 153, 170, 171, 440, 172, 173),
    "aarch64": (117, 270, 271, 40, 39, 41, 51, 428, 429, 430, 431, 432, 433, 442, 280, 219, 217,
                218, 97, 268, 241, 282, 425, 426, 427, 438, 104, 294, 105, 273, 106, 265, 264, 60,
                142, 224, 225, 170, 112, 171, 266, 89, 116, 272, 92, 58, 161, 162, 440),
}  # fmt: skip
#   clone, clone3, socket, bind, connect, sendto, sendmsg, sendmmsg
_JUDGED = {
    "x86_64": (56, 435, 41, 49, 42, 44, 46, 307),
    "aarch64": (220, 435, 198, 200, 203, 206, 211, 269),
}
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_NEW_NAMESPACES = 0x7E020000
_FAST_OPEN = 0x20000000
_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _DATAGRAM, _SEQPACKET, _KIND = 1, 2, 5, 0xF

_LOAD, _AND, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
_ALLOW, _KILL, _NOTIFY, _ERRNO = 0x7FFF0000, 0x80000000, 0x7FC00000, 0x00050000
_EPERM, _EACCES, _ENOSYS = 1, 13, 38
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

_Step = tuple[int, int, int, int]
_REFUSE: _Step = (_RETURN, 0, 0, _ERRNO | _EPERM)
_ACCESS: _Step = (_RETURN, 0, 0, _ERRNO | _EACCES)
_PASS: _Step = (_RETURN, 0, 0, _ALLOW)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def filter_calls(*, notify: bool) -> int:
    """Filter the calls of this process, for good; return where the warden hears of connections.

    Without `notify` connections are not filtered, and -1 is returned. Raises OSError.
    """
    steps = _steps(notify)
    code = b"".join(struct.pack("HBBI", *each) for each in steps)
    program = _Program(len(steps), code)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    address = ctypes.addressof(program)
    if not notify:
        kernel.call("seccomp", _SET_MODE_FILTER, 0, address)
        return -1
    try:
        return kernel.call("seccomp", _SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, address)
    except OSError:
        # Before Linux 5.19.
        return kernel.call("seccomp", _SET_MODE_FILTER, _NEW_LISTENER, address)


def _steps(notify: bool) -> list[_Step]:
    machine = platform.machine()
    if machine not in _REFUSED:
        raise OSError(f"calls of a {machine} cannot be filtered")
    steps: list[_Step] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        # The second table of calls of x86_64.
        (_ANY_BIT, 0, 1, 0x40000000),
        _REFUSE,
    ]
    for number in _REFUSED[machine]:
        steps += [(_EQUAL, 0, 1, number), _REFUSE]
    clone, clone3, socket, bind, connect, sendto, sendmsg, sendmmsg = _JUDGED[machine]
    steps += _on(clone, [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _REFUSE])
    # Its flags are behind a pointer; the C library then uses clone.
    steps += _on(clone3, [(_RETURN, 0, 0, _ERRNO | _ENOSYS)])
    steps += _on(bind, [_ACCESS])
    steps += _on(socket, _sockets(notify))
    if notify:
        steps += _on(connect, [(_RETURN, 0, 0, _NOTIFY)])
        # These can connect as well.
        low, high = _argument(4), (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * 4 + 4)
        steps += _on(sendto, [low, (_EQUAL, 1, 0, 0), _ACCESS, high, (_EQUAL, 1, 0, 0), _ACCESS])
        steps += _on(sendmsg, [_argument(2), (_ANY_BIT, 0, 1, _FAST_OPEN), _ACCESS])
        steps += _on(sendmmsg, [_argument(3), (_ANY_BIT, 0, 1, _FAST_OPEN), _ACCESS])
    return [*steps, _PASS]


def _on(number: int, steps: list[_Step]) -> list[_Step]:
    """Return the steps of one call, which end with its permission."""
    return [(_EQUAL, 0, len(steps) + 1, number), *steps, _PASS]


def _argument(index: int) -> _Step:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _sockets(notify: bool) -> list[_Step]:
    """Return the steps of `socket`: TCP and local streams; datagrams only without a warden."""
    of_kind: list[_Step] = [
        _argument(1),
        (_AND, 0, 0, _KIND),
        (_EQUAL, 3, 0, _STREAM),
        (_EQUAL, 2, 0, _SEQPACKET),
        (_EQUAL, 0 if notify else 1, 0, _DATAGRAM),
        _ACCESS,
    ]
    return [
        _argument(0),
        (_EQUAL, 3, 0, _UNIX),
        (_EQUAL, 2, 0, _INET),
        (_EQUAL, 1, 0, _INET6),
        _ACCESS,
        *of_kind,
    ]
