#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot a stock Debian under qemu and run commands in it.

As a module:

    with VM() as vm:
        vm.push("build.tar")
        r = vm.run(["sessctl", "list"], timeout=60)     # r.rc, r.out
        vm.check("systemctl restart ssh")               # raises VMError unless rc is 0
        vm.ssh_port, vm.key                             # the stock sshd, for logins

As a program: vm.py run [--release R] [--push TAR] [--timeout S] -- COMMAND [ARG...]

The release is bookworm (Debian 12) or trixie (13): the argument, else SESSBOX_VM_RELEASE, else
bookworm.

The disk is never written: each machine starts from the same state, and any number of them may run
at once. Commands come in through an sshd of their own (no PAM, port 222), so a test may break the
stock one. A machine never outlives the process that started it.
"""
import argparse
import contextlib
import ctypes
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_PDEATHSIG = 1
NO_CONNECTION = 255  # ssh's own exit code
EXIT_HANGS, EXIT_ERROR = 119, 125
LIBC = ctypes.CDLL(None, use_errno=True)


class VMError(Exception):
    """The machine, or a command that had to work, failed."""
    hangs = False  # it does not answer any more


class Result:
    """What a command left: its exit code (124: time-out) and its output, stderr included."""

    def __init__(self, rc, out):
        self.rc = rc
        self.out = out

    def __repr__(self):
        return f"Result(rc={self.rc}, out={self.out!r})"


def die_with_parent(sig=signal.SIGKILL):
    """A preexec_fn: the kernel ends the child when the process that forked it ends."""
    parent = os.getpid()

    def child():
        LIBC.prctl(PR_SET_PDEATHSIG, int(sig))
        if os.getppid() != parent:
            os._exit(1)
    return child


def free_ports(count):
    """Ports free right now. All are held until all are known, or one might come twice."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
        return ports


def scratch_dir():
    """A directory for one machine. Removes those whose owner was killed before it could."""
    base = tempfile.gettempdir()
    for name in os.listdir(base):
        words = name.split("-")
        if name.startswith("sessbox-vm-") and len(words) == 4 and words[2].isdigit():
            if not os.path.exists(f"/proc/{words[2]}"):
                shutil.rmtree(os.path.join(base, name), ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"sessbox-vm-{os.getpid()}-", dir=base)


def image_dir(release):
    """Path of the release's cached image; builds it when there is none."""
    argv = [os.path.join(HERE, "image"), *(["--release", release] if release else [])]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        raise VMError("tests/vm/image failed")
    return done.stdout.strip()


def have_kvm():
    """Whether KVM is asked for and there. Emulation is the default: it is the same everywhere."""
    return os.environ.get("SESSBOX_VM_KVM") == "1" and os.access("/dev/kvm", os.R_OK | os.W_OK)


def as_command(command):
    """A list becomes one quoted command line, a string is a shell's as it is."""
    return command if isinstance(command, str) else shlex.join(command)


class VM:
    """One machine. A context manager: boots on entry, is gone on exit."""

    def __init__(self, memory="2G", cpus=2, boot_timeout=300, quiet=False, append="",
                 release=None):
        self.memory = memory
        self.cpus = cpus
        self.boot_timeout = boot_timeout
        self.quiet = quiet
        self.append = append
        self.release = release
        self.qemu = None
        self.master = None
        self.dir = None
        self.port = self.ssh_port = None
        self.key = None

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, value, _trace):
        if kind is not None and issubclass(kind, VMError):
            value.hangs = self.explain()
        self.stop()

    def say(self, text):
        """One line about what goes on, to stderr."""
        if not self.quiet:
            print(f"vm: {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def phase(self, name):
        """Says how long its body took."""
        start = time.monotonic()
        yield
        self.say(f"{name}: {time.monotonic() - start:.1f} s")

    # -- life ------------------------------------------------------------------------------

    def boot(self):
        """Start the machine and wait until commands can be run."""
        with self.phase("image"):
            image = image_dir(self.release)
        self.dir = scratch_dir()
        self.key = os.path.join(image, "key")
        with self.phase("boot"):
            self._start(image)
            try:
                self._wait_banner()
                self._connect()
            except VMError:
                self.explain()
                raise

    def _start(self, image):
        self.port, self.ssh_port = free_ports(2)
        accel = ["-accel", "kvm"] if have_kvm() else ["-accel", "tcg,thread=multi"]
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", *accel,
                "-cpu", "max", "-smp", str(self.cpus), "-m", self.memory,
                "-kernel", os.path.join(image, "kernel"),
                "-initrd", os.path.join(image, "initrd"),
                "-append", "root=/dev/vda rw console=ttyS0 quiet fsck.mode=skip mitigations=off "
                           f"systemd.show_status=false sysrq_always_enabled {self.append}",
                "-drive", f"file={image}/disk,format=raw,if=virtio,snapshot=on,cache=unsafe",
                "-drive", f"file={self._second_disk()},format=raw,if=virtio,cache=unsafe,"
                          "throttling.bps-total=16000000,throttling.iops-total=400",
                "-netdev", "user,id=n,restrict=on,"
                           f"hostfwd=tcp:127.0.0.1:{self.port}-:222,"
                           f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22",
                "-device", "virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci",
                "-chardev", f"socket,id=console,path={self.dir}/tty,server=on,wait=off,"
                            f"logfile={self.dir}/console",
                "-serial", "chardev:console", *self._cable(),
                "-monitor", f"unix:{self.dir}/monitor,server=on,wait=off",
                "-display", "none"]
        with open(os.path.join(self.dir, "qemu"), "wb") as log:
            self.qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         start_new_session=True, preexec_fn=die_with_parent())

    def _second_disk(self):
        """An empty one that is slower than the emulated processors: for limits of disks."""
        path = os.path.join(self.dir, "second")
        with open(path, "wb") as file:
            file.truncate(64 << 20)
        return path

    def _cable(self):
        """Two serial lines, ttyS1 and ttyS2, with one cable between them: who has a login on the
        one types at the other. ttyS2's usual interrupt is the console's."""
        near, far = (f"socket,id={name},path={self.dir}/cable" for name in ("near", "far"))
        return ["-chardev", f"{near},server=on,wait=off", "-chardev", far,
                "-device", "isa-serial,chardev=near,index=1",
                "-device", "isa-serial,chardev=far,index=2,iobase=0x3e8,irq=5"]

    def _wait_banner(self):
        """qemu accepts at once whether or not the guest listens: only a banner counts."""
        end = time.monotonic() + self.boot_timeout
        while time.monotonic() < end:
            if self.qemu.poll() is not None:
                raise VMError(f"qemu ended with {self.qemu.returncode}")
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
                    if sock.recv(4) == b"SSH-":
                        return
            time.sleep(0.3)
        raise VMError(f"no answer within {self.boot_timeout} s")

    def _connect(self):
        """One connection for all commands: each of them costs a channel, not a handshake."""
        self.master = subprocess.Popen(
            [*self._ssh(), "-M", "-N", "root@127.0.0.1"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.dir, "ssh"), "wb"),
            start_new_session=True, preexec_fn=die_with_parent())
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if os.path.exists(os.path.join(self.dir, "ctl")):
                return
            if self.master.poll() is not None:
                break
            time.sleep(0.05)
        with open(os.path.join(self.dir, "ssh"), encoding="utf-8", errors="replace") as log:
            raise VMError(f"no control connection: {log.read().strip()}")

    def _ssh(self):
        return ["ssh", "-F", "none", "-p", str(self.port), "-i", self.key,
                "-S", os.path.join(self.dir, "ctl"), "-o", "IdentitiesOnly=yes",
                "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                "-o", "UserKnownHostsFile=/dev/null", "-o", "ServerAliveInterval=60",
                "-o", "ConnectTimeout=60"]

    def alive(self):
        """Whether qemu still runs."""
        return self.qemu is not None and self.qemu.poll() is None

    def poweroff(self, timeout=120):
        """An orderly shutdown, for tests that care; seconds it took. Then nothing more runs."""
        start = time.monotonic()
        self.run("systemctl poweroff", timeout=30)
        try:
            self.qemu.wait(timeout)
        except subprocess.TimeoutExpired:
            raise VMError(f"did not power off within {timeout} s") from None
        return time.monotonic() - start

    def reboot(self, timeout=300):
        """An orderly one, on the same disk; seconds until commands can be run again."""
        start = time.monotonic()
        before = self.check("cat /proc/sys/kernel/random/boot_id")
        self.run("systemctl reboot", timeout=30)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.master.wait(timeout)  # with the control sshd
        while time.monotonic() < start + timeout:
            self._disconnect()
            self._wait_banner()
            self._connect()
            after = self.run("cat /proc/sys/kernel/random/boot_id")
            if after.rc == 0 and after.out != before:
                return time.monotonic() - start
        raise VMError(f"did not come back within {timeout} s")

    def _disconnect(self):
        if self.master.poll() is None:
            self.master.kill()
        self.master.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.dir, "ctl"))

    def stop(self):
        """End the machine at once: its disk is thrown away anyway."""
        for proc in (self.master, self.qemu):
            if proc is None:
                continue
            if proc.poll() is None:
                proc.kill()
            proc.wait()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.master = self.qemu = self.dir = None

    # -- commands --------------------------------------------------------------------------

    def _remote(self, command, timeout):
        """The command line as the guest runs it: it ends there when the time is up."""
        if not self.alive():
            raise VMError("the machine is not running")
        guard = f"timeout -k 5 {timeout:g} /bin/sh -c {shlex.quote(as_command(command))}"
        return [*self._ssh(), "root@127.0.0.1", guard]

    def run(self, command, timeout=120, stdin=None):
        """Run as root, through a shell when it is a string. Output is text."""
        try:
            done = subprocess.run(self._remote(command, timeout), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=timeout + 60,
                                  input=stdin if stdin is not None else "", text=True,
                                  errors="replace", check=False)
        except subprocess.TimeoutExpired:
            raise VMError(f"no answer to: {as_command(command)}") from None
        return Result(done.returncode, done.stdout)

    def check(self, command, timeout=120, stdin=None):
        """The same for a command that has to work; returns its output."""
        done = self.run(command, timeout, stdin)
        if done.rc:
            raise VMError(f"exit {done.rc}: {as_command(command)}\n{done.out}")
        return done.out

    def stream(self, command, timeout=3600):
        """Run with the output going straight to ours; returns the exit code."""
        try:
            return subprocess.run(self._remote(command, timeout), stdin=subprocess.DEVNULL,
                                  timeout=timeout + 60, check=False).returncode
        except subprocess.TimeoutExpired:
            raise VMError(f"no answer to: {as_command(command)}") from None

    def push(self, tarball, dest="/", timeout=300):
        """Unpack a local tar file (compressed or not) in the guest."""
        flag = {".gz": "z", ".tgz": "z", ".xz": "J"}.get(os.path.splitext(tarball)[1], "")
        # The guest's /lib is a link and its / has an owner: a tar file must not change that.
        remote = (f"mkdir -p {shlex.quote(dest)} && tar -x{flag}f - --keep-directory-symlink "
                  f"--no-overwrite-dir -C {shlex.quote(dest)}")
        with open(tarball, "rb") as tar:
            done = subprocess.run(self._remote(remote, timeout), stdin=tar, timeout=timeout + 60,
                                  check=False)
        if done.returncode:
            raise VMError(f"push of {tarball}: exit {done.returncode}")

    def pull(self, path, dest, timeout=300):
        """Copy a file or directory of the guest below the local directory dest."""
        os.makedirs(dest, exist_ok=True)
        name = path.rstrip("/")
        remote = ["tar", "-cf", "-", "-C", os.path.dirname(name) or "/", os.path.basename(name)]
        with tempfile.TemporaryFile() as tar:
            done = subprocess.run(self._remote(remote, timeout), stdin=subprocess.DEVNULL,
                                  stdout=tar, timeout=timeout + 60, check=False)
            if done.returncode:
                raise VMError(f"pull of {path}: exit {done.returncode}")
            tar.seek(0)
            subprocess.run(["tar", "-xf", "-", "-C", dest], stdin=tar, check=True)

    # -- when it goes wrong ----------------------------------------------------------------

    def _tail(self, name, lines):
        try:
            with open(os.path.join(self.dir, name), encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:]).rstrip()
        except OSError:
            return ""

    def _monitor(self, command):
        """What qemu's monitor says to a command; '' if it does not."""
        said = b""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(os.path.join(self.dir, "monitor"))
            sock.sendall(command.encode() + b"\n")
            while said.count(b"(qemu)") < 2:  # one before the command, one after its answer
                data = sock.recv(65536)
                if not data:
                    break
                said += data
        return said.decode(errors="replace").replace("\r", "")

    def _sysrq(self, keys):
        """A break on the console and a key: the kernel answers there, even if no process runs any more."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(os.path.join(self.dir, "tty"))
            for key in keys:
                self._monitor("chardev-send-break console")
                sock.sendall(key.encode())
                time.sleep(3)

    def _why_it_hangs(self):
        """Of a machine that does not answer: where its processors are, and what its kernel says of all
        processors, blocked tasks and memory."""
        where = "\n".join(re.findall(r"CPU#\d+|RIP=\S+|HLT=\d", self._monitor("info registers -a")))
        before = len(self._tail("console", 1 << 20))
        self._sysrq("9lwm")  # 9: all of it is shown
        return f"{where}\n{self._tail('console', 1 << 20)[before:]}"

    def explain(self, lines=40):
        """Print the end of qemu's log, the console and the journal to stderr; of a machine that hangs, why.
        Returns whether it does."""
        hangs = False
        parts = [("qemu", self._tail("qemu", lines)), ("console", self._tail("console", lines))]
        if self.master is not None and self.alive():
            try:
                journal = self.run(f"journalctl -b -n {lines} --no-pager -o short-monotonic", 30)
                parts.append(("journal", journal.out.rstrip()))
                hangs = journal.rc == NO_CONNECTION
            except VMError:
                hangs = True
            if hangs:
                parts.append(("the machine hangs", self._why_it_hangs()))
        for name, text in parts:
            if text:
                print(f"--- {name}\n{text}", file=sys.stderr)
        print("---", file=sys.stderr, flush=True)
        return hangs


def raise_exit(sig, _frame):
    """SIGTERM and the like leave by the context managers, so qemu is ended."""
    sys.exit(128 + sig)


def verb_run(args):
    """vm.py run"""
    with VM(memory=args.memory, quiet=args.quiet, append=args.append,
            release=args.release) as vm:
        for tarball in args.push:
            with vm.phase(f"push {os.path.basename(tarball)}"):
                vm.push(tarball)
        with vm.phase("command"):
            rc = vm.stream(args.command[0] if len(args.command) == 1 else args.command,
                           args.timeout)
        if rc and not args.quiet:
            vm.say(f"the command's exit code is {rc}")
            if vm.explain():
                return EXIT_HANGS
        if args.pull:
            vm.pull(*args.pull)
        return rc


def verb_shell(args):
    """vm.py shell"""
    with VM(memory=args.memory, append=args.append, release=args.release) as vm:
        for tarball in args.push:
            vm.push(tarball)
        login = shlex.join(["ssh", "-p", str(vm.ssh_port), "-i", vm.key, "root@127.0.0.1"])
        vm.say(f"the stock sshd: {login}")
        # pylint: disable-next=protected-access
        return subprocess.run([*vm._ssh(), "-tt", "root@127.0.0.1"], check=False).returncode


def arguments():
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--push", metavar="TAR", action="append", default=[],
                        help="unpack this tar file in / first; may be repeated")
    common.add_argument("--release", choices=["bookworm", "trixie"],
                        help="of Debian (default: SESSBOX_VM_RELEASE, or bookworm)")
    common.add_argument("--memory", default="2G", help="of the machine (default 2G)")
    common.add_argument("--append", default="", help="more kernel arguments")
    parser = argparse.ArgumentParser(description="Boot a stock Debian and run a command in it.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", parents=[common], help="run a command, return its exit code")
    run.add_argument("--timeout", type=float, default=3600, help="seconds for the command")
    run.add_argument("--pull", nargs=2, metavar=("PATH", "DIR"), help="copy PATH to DIR after it")
    run.add_argument("--quiet", action="store_true", help="only the command's output")
    run.add_argument("command", nargs="+", metavar="COMMAND",
                     help="one word: a shell command line; more: an argument vector")
    run.set_defaults(call=verb_run)
    shell = verbs.add_parser("shell", parents=[common], help="a root shell in a new machine")
    shell.set_defaults(call=verb_shell)
    return parser.parse_args()


def main():
    """The program."""
    args = arguments()
    parent = os.getppid()
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(sig, raise_exit)
    LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        return 1
    try:
        return args.call(args)
    except VMError as err:
        print(f"vm: {err}", file=sys.stderr)
        return EXIT_HANGS if err.hangs else EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
