"""What libsasl reads in a smtpd.conf, and what a real smtpd announces with it, against what the model says."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailcfg.formats import smtpd_conf
from tests.postfix import lab
from tests.postfix.smtp import Session
from tests.sites import ROOT

pytestmark = pytest.mark.xdist_group("libsasl")

CORPUS = ROOT.parent / "shared" / "corpus" / "sasl"

OK, CONFIGERR, NOMECH = 0, -100, -4
"""What sasl_server_init() and sasl_listmech() return (sasl.h)."""

EXAMPLES = int(os.environ.get("MAILCFG_EXAMPLES", "1500"))
"""How many files a test generates, always the same ones; with the variable set, others each time."""

generated = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="MAILCFG_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

Say = Callable[[str], None]


# --- the library, in a process of its own ----------------------------------------------------------------------------


class Reading(NamedTuple):
    """What libsasl makes of a file: its answer, the values of the names asked for, the mechanisms it announces."""

    code: int
    values: dict[bytes, bytes | None]
    mechanisms: tuple[str, ...]


class Library:
    """libsasl as a server starts it. A file that upset it would take its process down, and not the tests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.version = ""
        self.available = self.read(b"", []).mechanisms

    def read(self, data: bytes, names: list[bytes]) -> Reading:
        assert self.process.stdin
        assert self.process.stdout
        question = [base64.b64encode(each).decode() for each in (data, *names)]
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"libsasl ended with {self.process.wait()} over {data!r}"
        self.version, code, values, mechanisms = json.loads(line)
        found = [None if each is None else base64.b64decode(each) for each in values]
        return Reading(code, dict(zip(names, found, strict=True)), tuple(mechanisms))


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    lab.needs("saslpasswd2")
    # Postfix never calls setlocale(3), so libsasl classifies characters as the C locale does.
    with subprocess.Popen(
        [sys.executable, "-m", "tests.postfix.test_libsasl"],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Library(process)
        assert process.stdin
        with suppress(BrokenPipeError):
            process.stdin.close()


class Callback(ctypes.Structure):
    _fields_ = [("id", ctypes.c_ulong), ("proc", ctypes.c_void_p), ("context", ctypes.c_void_p)]


def serve(questions: IO[str]) -> None:
    """Answer each line, a file and names, with what libsasl says. Runs in the process of its own."""
    lib = ctypes.CDLL("libsasl2.so.2")
    lib.sasl_config_getstring.restype = ctypes.c_char_p
    quiet = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)(lambda *_: OK)
    log, end, configuration = 2, 0, 1
    callbacks = (Callback * 2)(Callback(log, ctypes.cast(quiet, ctypes.c_void_p)), Callback(end))
    parts = [ctypes.c_int() for _ in range(4)]
    lib.sasl_version_info(None, None, *map(ctypes.byref, parts))
    version = ".".join(str(part.value) for part in parts[:3])
    with tempfile.TemporaryDirectory() as path:
        for question in questions:
            data, *names = (base64.b64decode(each) for each in json.loads(question))
            file = Path(path, "smtpd.conf")
            file.write_bytes(data)
            # A server is told nothing of a file that is refused; the reader itself keeps what stands above.
            alone = lib.sasl_config_init(bytes(file))
            values = [lib.sasl_config_getstring(name, None) for name in names]
            lib.sasl_config_done()
            assert lib.sasl_set_path(configuration, path.encode()) == OK
            code = lib.sasl_server_init(callbacks, b"smtpd")
            assert code == alone
            announced = announce(lib) if code == OK else []
            lib.sasl_done()
            answer = [None if value is None else base64.b64encode(value).decode() for value in values]
            print(json.dumps([version, code, answer, announced]), flush=True)


def announce(lib: Any) -> list[str]:
    """The mechanisms of a new session, in their order."""
    session = ctypes.c_void_p()
    new = (b"smtp", b"mail.example.com", None, None, None, None, 0, ctypes.byref(session))
    assert lib.sasl_server_new(*new) == OK
    text = ctypes.c_char_p()
    code = lib.sasl_listmech(session, None, b"", b" ", b"", ctypes.byref(text), None, None)
    assert code in (OK, NOMECH)
    found = (text.value or b"").decode().split() if code == OK else []
    lib.sasl_dispose(ctypes.byref(session))
    return found


# --- the model's word ------------------------------------------------------------------------------------------------


def predicted(conf: smtpd_conf.SmtpdConf, available: tuple[str, ...]) -> tuple[str, ...]:
    """The mechanisms that libsasl will announce."""
    entry = conf.effective().get("mech_list")
    if any(problem.fatal for problem in conf.problems):
        return ()
    if entry is None:
        return available
    return tuple(each for each in smtpd_conf.mechanisms(entry.value) if each in available)


def as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def disagreement(library: Library, data: bytes) -> str:
    """What the model and libsasl say differently of a file; nothing where they agree."""
    conf = smtpd_conf.parse(data)
    fatal = min((problem.line for problem in conf.problems if problem.fatal), default=None)
    # libsasl keeps what stands above the line that it refuses; of that line the parts are not told apart.
    read = [entry for entry in conf.entries if fatal is None or entry.line < fatal]
    shared = {as_bytes(entry.name) for entry in conf.entries if entry.line == fatal}
    expected: dict[bytes, bytes | None] = dict.fromkeys((*NAMES, b""))
    for entry in reversed(read):
        expected[as_bytes(entry.name)] = as_bytes(entry.value)
    names = [name for name in expected if name not in shared]
    reading = library.read(data, names)
    if (reading.code == OK) != (fatal is None) or reading.code not in (OK, CONFIGERR):
        return f"libsasl returns {reading.code}, the model says {conf.problems}"
    for name in names:
        if reading.values[name] != expected[name]:
            return f"{name!r} is {reading.values[name]!r}, the model says {expected[name]!r}"
    if reading.mechanisms != predicted(conf, library.available):
        return f"announced: {reading.mechanisms}, the model says {predicted(conf, library.available)}"
    return ""


# --- files -----------------------------------------------------------------------------------------------------------

NAMES = (b"mech_list", b"pwcheck_method", b"saslauthd_path", b"auxprop_plugin", b"log-level2")

BLANK = st.text(" \t\v\f\r", max_size=3).map(str.encode)

WORDS = st.sampled_from(
    (
        *(b"PLAIN", b"LOGIN", b"plain", b"Login", b"CRAM-MD5", b"digest-md5", b"SCRAM-SHA-256", b"NOSUCH"),
        *(b"PLAIN,", b"LOGIN,PLAIN", b"#", b"# PLAIN", b":", b'"PLAIN"', b"\\"),
        *(b"\xc3\xa4", b"\xff", b"\xa0", b"\x85", b"\x1c", b"\x00", b"x" * 4090),
    )
)

SEPARATORS = st.sampled_from([b" ", b"  ", b"\t", b"\v", b"\r", b",", b", ", b"\xa0", b"\x00"])


@st.composite
def values(draw: st.DrawFn) -> bytes:
    first, *others = draw(st.lists(WORDS, min_size=1, max_size=4))
    ending = draw(st.sampled_from([b"", b"", b"", b" ", b"\t", b"\n"]))
    return first + b"".join(draw(SEPARATORS) + word for word in others) + ending


def spelled(name: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from([name, name.upper(), name.title()])


@st.composite
def settings_lines(draw: st.DrawFn) -> bytes:
    """A line that libsasl takes, unless something odd in the value prevents it."""
    name = draw(st.sampled_from([*NAMES, b"", b"-", b"9"]).flatmap(spelled))
    return draw(BLANK) + name + b":" + draw(BLANK) + draw(values()) + draw(BLANK)


@st.composite
def long_lines(draw: st.DrawFn) -> bytes:
    """A line around a multiple of what libsasl reads at once, with something that matters where it is cut."""
    start = draw(st.sampled_from([b"#", b"a: ", b" ", b"mech_list: PLAIN ", b"\x00", b"x"]))
    filler = draw(st.sampled_from([b"x", b" ", b"#", b"\r", b"\x00"]))
    length = draw(st.integers(1, 2)) * smtpd_conf.LONGEST + draw(st.integers(-3, 3))
    rest = draw(st.one_of(settings_lines(), st.just(b""), st.just(b"# rest")))
    return start + filler * max(0, length - len(start)) + rest


ODD_LINES = st.one_of(
    st.sampled_from(
        (
            *(b"mech_list", b"mech_list PLAIN", b"mech_list : PLAIN", b"mech_list = PLAIN", b"mech_list:"),
            *(b"mech_list: \t", b"mech.list: PLAIN", b"mech list: PLAIN", b"PLAIN LOGIN", b"=", b"\x1ca: b"),
            *(b"mech_list:\x00PLAIN", b"mech\x00_list: PLAIN", b"\xc3\xa4: b", b"\x85mech_list: PLAIN"),
            *(b"\xef\xbb\xbfmech_list: PLAIN", b"\xef\xbb\xbf# x", b"; x", b"// x", b"!x", b"[x]"),
        )
    ),
    st.binary(max_size=12),
    long_lines(),
)

SILENT = st.sampled_from([b"", b" ", b"\t\r", b"# x", b"  # mech_list: PLAIN", b"#", b"\x00mech_list: LOGIN", b" \x00"])

ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\n\n", b"\r\r\n"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Files of a few lines. Most lines are taken by libsasl, so that what stands below an odd one counts too."""
    odd = draw(st.sampled_from([[], [], [long_lines()], [ODD_LINES]]))
    lines = draw(st.lists(st.one_of(settings_lines(), settings_lines(), SILENT, *odd), max_size=7))
    data = b"".join(line + draw(ENDS) for line in lines)
    return data if draw(st.booleans()) else data.removesuffix(b"\n")


MENDABLE = st.lists(
    st.one_of(settings_lines(), SILENT, st.sampled_from([b"mech_list PLAIN", b" Mech_List = X", b"mech_list:"])),
    max_size=5,
).map(b"\r\n".join)
"""Files that are refused for nothing but a setting in a wrong spelling."""


def test_generated_files(library: Library, say: Say) -> None:
    counts = {"files": 0, "refused": 0, "without a mechanism": 0}

    @generated
    @example(b"")
    @given(files())
    def agrees(data: bytes) -> None:
        assert disagreement(library, data) == ""
        conf = smtpd_conf.parse(data)
        refused = any(problem.fatal for problem in conf.problems)
        counts["files"] += 1
        counts["refused"] += refused
        counts["without a mechanism"] += not refused and not predicted(conf, library.available)

    agrees()
    say(f"libsasl {library.version}: {counts}, disagreements: 0")
    assert EXAMPLES < 100 or EXAMPLES * 0.1 < counts["refused"] < EXAMPLES * 0.7


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    verb = draw(st.sampled_from(["set", "set", "remove", "only"]))
    name = draw(st.sampled_from((*NAMES, *NAMES[:1] * 5)).flatmap(spelled))
    return verb, name, draw(values())


def edited(conf: smtpd_conf.SmtpdConf, verb: str, name: str, value: str) -> smtpd_conf.SmtpdConf:
    match verb:
        case "set":
            return conf.set(name, value)
        case "remove":
            return conf.remove(name)
        case _:
            return conf.only(name)


def values_of(conf: smtpd_conf.SmtpdConf) -> dict[str, str]:
    return {name: entry.value for name, entry in conf.effective().items()}


def test_generated_edits(library: Library, say: Say) -> None:
    counts = {"edits": 0, "unwritable": 0, "mended": 0, "still refused": 0}

    @generated
    @given(st.one_of(files(), MENDABLE), edits())
    def takes_effect(data: bytes, edit: tuple[str, bytes, bytes]) -> None:
        verb, name, value = edit[0], edit[1].decode(), edit[2].decode(errors="surrogateescape")
        before = smtpd_conf.parse(data)
        counts["edits"] += 1
        try:
            after = edited(before, verb, name, value)
        except smtpd_conf.Unwritable:
            counts["unwritable"] += 1
            # What is refused is refused with reason: libsasl reads something else where it stands.
            line = name.encode() + b": " + edit[2]
            assert library.read(line, [name.lower().encode()]).values != {name.lower().encode(): edit[2]}
            return
        expected = values_of(before)
        key = name.lower()
        if verb == "set":
            expected[key] = value
        elif verb == "remove":
            expected.pop(key, None)
        assert values_of(after) == expected
        assert disagreement(library, after.render()) == ""
        assert [each for each in after.entries if each.name == key][1:] == [] or verb == "set"
        kept = [(each.name, each.value) for each in before.entries if each.name != key]
        assert [(each.name, each.value) for each in after.entries if each.name != key] == kept
        refused, still = (sum(problem.fatal for problem in conf.problems) for conf in (before, after))
        assert still <= refused
        counts["mended"] += refused > 0 and not still
        counts["still refused"] += still > 0
        if not still and verb == "set":
            reading = library.read(after.render(), [key.encode()])
            assert (reading.code, reading.values) == (OK, {key.encode(): edit[2]})

    takes_effect()
    say(f"libsasl {library.version}: {counts}, disagreements: 0")
    assert EXAMPLES < 100 or all(counts.values())


# --- files that people have ------------------------------------------------------------------------------------------


def test_corpus(library: Library, say: Say) -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of files from public repositories is not here")
    found = sorted(CORPUS.glob("*.conf"))
    assert found
    for path in found:
        data = path.read_bytes()
        conf = smtpd_conf.parse(data)
        assert conf.render() == data
        assert conf.problems == ()
        assert disagreement(library, data) == "", path.name
    say(f"libsasl {library.version}: {len(found)} files, disagreements: 0")


# --- a real smtpd ----------------------------------------------------------------------------------------------------

DIES = ("dies",)

ANNOUNCED: dict[bytes, tuple[str, ...]] = {
    b"mech_list: PLAIN LOGIN\n": ("PLAIN", "LOGIN"),
    b"MECH_LIST:login plain": ("LOGIN", "PLAIN"),
    b"  Mech_List:\t Plain\tLOGIN \r\n": ("PLAIN", "LOGIN"),
    b"mech_list: PLAIN\nmech_list: LOGIN\n": ("PLAIN",),
    b"mech_list: PLAIN, LOGIN\n": ("LOGIN",),
    b"mech_list: PLAIN # LOGIN\n": ("PLAIN", "LOGIN"),
    b"mech_list: PLAIN \\\n# LOGIN\n": ("PLAIN",),
    b"#mech_list: LOGIN\n\n  # mech_list: LOGIN\nmech_list: PLAIN NOSUCH": ("PLAIN",),
    b"mech_list: PLAIN\x00 LOGIN\n": ("PLAIN",),
    b"#" + b"x" * (smtpd_conf.LONGEST - 1) + b"mech_list: LOGIN\nmech_list: PLAIN\n": ("LOGIN",),
    b"mech_list: PLAIN" + b" " * smtpd_conf.LONGEST + b"#\n": ("PLAIN",),
    b"mech_list: PLAIN,LOGIN\n": DIES,
    b'mech_list: "PLAIN LOGIN"\n': DIES,
    b"mech_list: PLAIN\nmech_list:\n": DIES,
    b"mech_list : PLAIN\n": DIES,
    b"mech_list = PLAIN\n": DIES,
    b"mech_list PLAIN\n": DIES,
    b"mech_list: PLAIN\n LOGIN\n": DIES,
    b"mech_list: PLAIN" + b" " * smtpd_conf.LONGEST + b"LOGIN\n": DIES,
    b"\xef\xbb\xbfmech_list: PLAIN\n": DIES,
    b"mech.list: x\nmech_list: PLAIN\n": DIES,
}


def test_smtpd_announces_what_the_model_says(library: Library, say: Say) -> None:
    lab.needs("postfix", "postconf")
    with lab.directory() as path:
        postfix = lab.Postfix(path)
        postfix.prepare()
        master = ""
        ports = {data: lab.free_port() for data in ANNOUNCED}
        for number, (data, port) in enumerate(ports.items()):
            (postfix.etc / "sasl" / f"case{number}.conf").write_bytes(data)
            master += (
                f"127.0.0.1:{port} inet n - n - - smtpd -o smtpd_sasl_path=case{number} -o syslog_name=case{number}\n"
            )
        postfix.ports += ports.values()
        main = f"smtpd_sasl_auth_enable = yes\ncyrus_sasl_config_path = {postfix.etc}/sasl\n"
        postfix.configure(main, master)
        observed: dict[bytes, tuple[str, ...]] = {}
        with postfix.running():
            for number, (data, port) in enumerate(ports.items()):
                observed[data] = offered(port) if answers(postfix, f"case{number}/smtpd", port) else DIES
            log = postfix.log.splitlines()
    for number, data in enumerate(ANNOUNCED):
        conf = smtpd_conf.parse(data)
        expected = predicted(conf, library.available) or DIES
        assert (observed[data], expected) == (ANNOUNCED[data], ANNOUNCED[data]), data
        if expected == DIES:
            refused = any(problem.fatal for problem in conf.problems)
            words = smtpd_conf.REFUSED if refused else "no SASL authentication mechanisms"
            assert any(f"case{number}/smtpd" in line and words in line for line in log), (data, log)
    say(f"{len(observed)} files, disagreements: 0")


def answers(postfix: lab.Postfix, name: str, port: int) -> bool:
    """Whether smtpd greets a client. One that dies leaves the client waiting: its log tells."""
    end = time.monotonic() + lab.TIMEOUT
    with socket.create_connection(("127.0.0.1", port), lab.TIMEOUT) as client:
        while time.monotonic() < end:
            if select.select([client], [], [], 0.05)[0]:
                return client.recv(3) == b"220"
            if any(name in line and " fatal: " in line for line in postfix.log.splitlines()):
                return False
    raise AssertionError(f"{name} neither greets nor dies\n{postfix.log[-2000:]}")


def offered(port: int) -> tuple[str, ...]:
    """The words behind AUTH in the answer to EHLO."""
    with Session(port) as session:
        found = [line.split()[1:] for line in session.ehlo() if line.startswith("AUTH ")]
    assert len(found) == 1
    return tuple(found[0])


if __name__ == "__main__":
    serve(sys.stdin)
