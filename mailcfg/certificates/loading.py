"""What Postfix has in its TLS context after it loaded its certificate parameters, told from the bytes of the files.

Three layers, each as OpenSSL has them: the PEM reader, the DER of a certificate, the slots of an SSL_CTX. On top stands
what Postfix does with them (3.4 to 3.11 do the same). Held against Postfix by tests/certificates/test_loading.py.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from calendar import timegm
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from mailcfg.facts.version import Version
from mailcfg.machine import Unreadable, digest

DAY = 86400

READS_OVER_DAMAGE = Version(3, 0)
"""From this OpenSSL on, a file of smtpd_tls_key_file is searched for its key beyond what cannot be read in it, and a
byte order mark at the start of any file is no obstacle.
"""

POST_QUANTUM = Version(3, 5)
"""The OpenSSL that knows keys of type ML-DSA, and private keys with the public half behind them (RFC 5958)."""

Read = Callable[[str], bytes | None]
"""The bytes of a file; None where it is absent. Raises Unreadable."""


class Identity(NamedTuple):
    """A certificate with its key, in force. `key_type` is spelled as in a policy; `names` are those of the
    subjectAltName, host names in lower case; times are seconds since 1970; `file` and `key_file` are where each stands.

    `sent` counts the certificates behind the leaf, and the rest tells of them: `issuer_found`, that one of them issued
    the leaf; `chain_complete`, that they lead from it in order to one that is self-signed or whose issuer is not
    there (None for a lone leaf that another signed: only then OpenSSL adds what it finds in smtpd_tls_CAfile and
    smtpd_tls_CApath); `chain_problem`, in words: "leaf only", "issuer missing", "wrong order", "holds what is not part
    of it", "includes root" (which is harmless). `signature_hash` is empty where the signature has none of its own
    (Ed25519). `unfit` names what the certificate forbids and a server does with it: `digitalSignature` (an ECDSA key
    without it is never used up to TLS 1.2), `serverAuth`. `spki_sha256` is the digest of the public key as a TLSA
    record of the form 3 1 1 holds it (RFC 6698), in hexadecimal.
    """

    key_type: str
    names: tuple[str, ...]
    common_name: str
    file: str
    key_file: str
    not_before: int
    not_after: int
    self_signed: bool
    sent: int
    issuer_found: bool
    chain_complete: bool | None
    chain_problem: str
    signature_hash: str
    key_bits: int
    curve: str
    lifetime_days: int
    subject_only_cn: bool
    unfit: tuple[str, ...]
    spki_sha256: str = ""

    @property
    def algorithm(self) -> str:
        """`rsa`, `ecdsa`, `ed25519` …: at most one identity of each is in force."""
        return self.key_type.partition("-")[0]


class Loading(NamedTuple):
    """What came of it. `identities` are in force, in the order in which they were loaded; without any, and `disabled`
    empty, only anonymous handshakes succeed. `disabled` says why Postfix turns TLS off (STARTTLS is answered with
    454). `problems` tell of what was passed over. `unknown` says why none of this can be relied on.

    `fault` names what is wrong where TLS is turned off, or where a file of smtpd_tls_chain_files is absent: "absent",
    "mismatch" (the key is another one's), "order" (a certificate before its key), "no-key", "no-certificate",
    "encrypted", "second" (of a kind of key), "unusable" (a key that no TLS server can use), "damaged". `file` is where.
    """

    identities: tuple[Identity, ...] = ()
    disabled: str = ""
    problems: tuple[str, ...] = ()
    unknown: str = ""
    fault: str = ""
    file: str = ""


_ENCRYPTED = "holds an encrypted key; Postfix cannot ask for its password"


class _Damaged(ValueError):
    """What OpenSSL cannot read. The message says what, to go behind the name of a file."""


class _Undecided(ValueError):
    """What OpenSSL may read, and we do not. The message says what."""


class _Disabled(Exception):
    """Postfix turns TLS off. The message is a sentence; the fault and the file are those of Loading."""

    def __init__(self, words: str, file: str, fault: str = "damaged") -> None:
        super().__init__(words)
        self.file = file
        self.fault = fault


def load(
    chain_files: tuple[str, ...], pairs: tuple[tuple[str, str], ...], read: Read, openssl: Version = READS_OVER_DAMAGE
) -> Loading:
    """Load `chain_files` in order or, where there are none, the (certificate, key) `pairs` of RSA, DSA and ECDSA. Paths
    are as Postfix has them: it opens a relative one in its queue directory.
    """
    loader = _Loader(read, openssl)
    try:
        if chain_files:
            loader.chains(chain_files)
        for certificate, key in () if chain_files else pairs:
            if certificate == key:
                loader.mixed(certificate)
            else:
                loader.pair(certificate, key)
        identities = loader.context.identities(loader.problems)
    except _Disabled as error:
        problems = tuple(loader.problems)
        return Loading(disabled=str(error), problems=problems, fault=error.fault, file=error.file)
    except (Unreadable, _Undecided) as error:
        return Loading(unknown=str(error), problems=tuple(loader.problems))
    fault = "absent" if loader.absent else ""
    return Loading(identities, problems=tuple(loader.problems), fault=fault, file=loader.absent)


class _Loader:
    """One run over the parameters. Every file is read once."""

    def __init__(self, read: Read, openssl: Version) -> None:
        self.context = _Context(openssl)
        self.problems: list[str] = []
        self.absent = ""
        self._read = read
        self._openssl = openssl
        self._files: dict[str, bytes | None] = {}

    def _open(self, path: str) -> _Pem | None:
        """A file, at its start; None where it cannot be opened. A directory can, and has nothing in it."""
        if path not in self._files:
            try:
                # The default of smtpd_tls_key_file can be emptied, and nothing has that name.
                self._files[path] = self._read(path) if path else None
            except Unreadable as error:
                if not error.reason.startswith("is a directory"):
                    raise
                self._files[path] = b""
        data = self._files[path]
        return None if data is None else _Pem(data, bom=self._openssl >= READS_OVER_DAMAGE)

    def chains(self, files: tuple[str, ...]) -> None:
        """Any number of chains (a key, its certificate, those that signed it), which may go on in the next file."""
        key: _Private | None = None
        chain: list[_Certificate] = []
        for path in files:
            pem = self._open(path)
            if pem is None:
                # Not an error to Postfix: it ends here, with what was complete. The last chain was not yet.
                last = chain[0].file if chain else key.file if key else ""
                lost = f", nor the last chain before it, of {last}" if last else ""
                self.absent = path
                self.problems.append(f"{path} is absent, and nothing behind it is loaded{lost}")
                return
            found = 0
            for block in self._blocks(pem, path):
                if block.name in _CERTIFICATES:
                    found += 1
                    if key is None:
                        raise _Disabled(f"{path} holds a certificate before any key; a key comes first", path, "order")
                    chain.append(_certificate_of(block, path, excess=False))
                elif block.name in _KEYS:
                    found += 1
                    if key and not chain:
                        words = f"{path} holds a second key, and no certificate follows that of {key.file}"
                        raise _Disabled(words, key.file, "order")
                    if key:
                        self.context.use_all(key, chain)
                    key, chain = self._private(block, path), []
                else:
                    self.problems.append(f"{path}: {_kind(block)} is passed over")
            if not found:
                self.problems.append(f"{path} holds neither a key nor a certificate in PEM")
        if key is None:
            words = f"there is neither a key nor a certificate in PEM in {', '.join(files)}"
            raise _Disabled(words, files[0], "no-key")
        if not chain:
            raise _Disabled(f"no certificate follows the key of {key.file}", key.file, "no-certificate")
        self.context.use_all(key, chain)

    def mixed(self, path: str) -> None:
        """A file for both: one key anywhere, and certificates of which the first is the leaf."""
        pem = self._open(path)
        if pem is None:
            raise _Disabled(f"{path} is absent", path, "absent")
        key: _Private | None = None
        chain: list[_Certificate] = []
        for block in self._blocks(pem, path):
            if block.name in _CERTIFICATES:
                chain.append(_certificate_of(block, path, excess=False))
            elif block.name in _KEYS and key:
                self.problems.append(f"{path} holds a second key, which is passed over")
            elif block.name in _KEYS:
                key = self._private(block, path)
        if key is None:
            raise _Disabled(f"{path} holds no private key in PEM that can be loaded", path, "no-key")
        if not chain:
            raise _Disabled(f"{path} holds no certificate in PEM", path, "no-certificate")
        self.context.use_all(key, chain)

    def pair(self, path: str, key_path: str) -> None:
        """A certificate with its chain, and a key, from a file each."""
        pem = self._open(path)
        if pem is None:
            raise _Disabled(f"{path} is absent", path, "absent")
        chain: list[_Certificate] = []
        for block in self._blocks(pem, path):
            # The form with trust settings of OpenSSL's own is good for a leaf only.
            if block.name in _CERTIFICATES or (not chain and block.name == b"TRUSTED CERTIFICATE"):
                if block.header:
                    words = f"{path} holds a certificate with a header of its own, which OpenSSL does not read"
                    raise _Disabled(words, path)
                chain.append(_certificate_of(block, path, excess=bool(chain) or _trust_settings(block.data)))
        if not chain:
            raise _Disabled(f"{path} holds no certificate in PEM", path, "no-certificate")
        self.context.use_certificate(chain)
        pem = self._open(key_path)
        if pem is None:
            words = f"{key_path} is absent" if key_path else f"no key file is named for {path}"
            raise _Disabled(words, key_path, "absent")
        if not self.context.use_key(self._search(pem, key_path)):
            words = f"the key of {key_path} does not belong to the certificate of {path}"
            raise _Disabled(words, key_path, "mismatch")

    def _blocks(self, pem: _Pem, path: str) -> Iterator[_Block]:
        """All that a file holds. Damage anywhere turns TLS off."""
        try:
            while (block := pem.block()) is not None:
                yield block
        except _Damaged as error:
            raise _Disabled(f"{path} {error}", path) from None

    def _private(self, block: _Block, path: str) -> _Private:
        """A key that Postfix reads itself. It does not look at a header, and takes what is encrypted for damage."""
        try:
            return _private(block, path, self._openssl, excess=False)
        except _Damaged as error:
            encrypted = b"ENCRYPTED" in block.header
            words = f"{path} {_ENCRYPTED if encrypted else error}"
            raise _Disabled(words, path, "encrypted" if encrypted else "damaged") from None

    def _search(self, pem: _Pem, path: str) -> _Private:
        """The first key of a file. OpenSSL 3 goes on where it finds one that it cannot read."""
        patient = self._openssl >= READS_OVER_DAMAGE
        trouble = nothing = "holds no private key in PEM"
        while True:
            try:
                block = pem.block()
                if block is None:
                    raise _Disabled(f"{path} {trouble}", path, "no-key" if trouble == nothing else "damaged")
                if block.name in _KEYS or block.name == b"ENCRYPTED PRIVATE KEY":
                    if block.header or block.name not in _KEYS:
                        raise _Disabled(f"{path} {_ENCRYPTED}", path, "encrypted")
                    return _private(block, path, self._openssl, excess=True)
            except _Damaged as error:
                trouble = str(error)
                if not patient:
                    raise _Disabled(f"{path} {trouble}", path) from None


# --- the slots of a context ------------------------------------------------------------------------------------------


class _Slot:
    """What a context has for one algorithm: a certificate with its chain, a key, or both."""

    __slots__ = ("chain", "key")

    def __init__(self) -> None:
        self.chain: list[_Certificate] = []
        self.key: _Private | None = None


class _Context:
    """An SSL_CTX at security level 0: it takes weak keys and signatures, expired certificates, and any usage."""

    def __init__(self, openssl: Version) -> None:
        self._slots: dict[str, _Slot] = {}
        self._openssl = openssl

    def _usable(self, certificate: _Certificate) -> _Public:
        public = certificate.public
        if not public.algorithm or (public.algorithm.startswith("mldsa") and self._openssl < POST_QUANTUM):
            words = f"{certificate.file} holds a certificate whose key no TLS server can use"
            raise _Disabled(words, certificate.file, "unusable")
        return public

    def use_all(self, key: _Private, chain: list[_Certificate]) -> None:
        """Key and chain together, where neither may replace anything."""
        public = self._usable(chain[0])
        if key.public != public.identity:
            words = f"the key of {key.file} does not belong to the certificate of {chain[0].file}"
            raise _Disabled(words, key.file, "mismatch")
        if public.algorithm in self._slots:
            words = f"{chain[0].file} holds a second certificate with a key of type {public.algorithm}"
            raise _Disabled(words, chain[0].file, "second")
        slot = self._slots[public.algorithm] = _Slot()
        slot.key, slot.chain = key, list(chain)

    def use_certificate(self, chain: list[_Certificate]) -> None:
        """A certificate, which pushes out a key that is not its own."""
        public = self._usable(chain[0])
        slot = self._slots.pop(public.algorithm, None) or _Slot()
        self._slots[public.algorithm] = slot
        if slot.key and slot.key.public != public.identity:
            slot.key = None
        slot.chain = list(chain)

    def use_key(self, key: _Private) -> bool:
        """A key, which goes where its algorithm says: whether its certificate is there, be it of another pair."""
        slot = self._slots.get(key.algorithm)
        if slot is None or not slot.chain or key.public != self._usable(slot.chain[0]).identity:
            return False
        slot.key = key
        return True

    def identities(self, problems: list[str]) -> tuple[Identity, ...]:
        """What is complete."""
        found = []
        for slot in self._slots.values():
            if slot.key is None:
                problems.append(f"{slot.chain[0].file} is loaded without its key, so that nobody is shown it")
            else:
                found.append(_identity(slot.chain, slot.key))
        return tuple(found)


def _path(leaf: _Certificate, others: list[_Certificate]) -> list[_Certificate]:
    """Those that signed a leaf, one after the other, as far as they are there. Names tell, not signatures."""
    found: list[_Certificate] = []
    last = leaf
    while last.issuer != last.subject:
        above = next((each for each in others if each.subject == last.issuer and each not in found), None)
        if above is None:
            break
        found.append(above)
        last = above
    return found


def _identity(chain: list[_Certificate], key: _Private) -> Identity:
    leaf, *others = chain
    public = leaf.public
    self_signed = leaf.issuer == leaf.subject
    path = _path(leaf, others)
    complete: bool | None = others[: len(path)] == path and (self_signed or bool(path))
    problem = ""
    if not complete and not others:
        complete, problem = None, "leaf only"
    elif not complete:
        problem = "wrong order" if path else "issuer missing"
    elif len(others) > len(path):
        problem = "holds what is not part of it"
    elif path and path[-1].issuer == path[-1].subject:
        problem = "includes root"
    return Identity(
        key_type=public.key_type,
        names=leaf.names,
        common_name=leaf.common_name,
        file=leaf.file,
        key_file=key.file,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        self_signed=self_signed,
        sent=len(others),
        issuer_found=bool(path),
        chain_complete=complete,
        chain_problem=problem,
        signature_hash=leaf.signature_hash,
        key_bits=public.bits,
        curve=public.curve,
        lifetime_days=-(-(leaf.not_after - leaf.not_before) // DAY),
        subject_only_cn=not leaf.alternative and bool(leaf.common_name),
        unfit=leaf.unfit,
        spki_sha256=digest(leaf.spki),
    )


# --- PEM -------------------------------------------------------------------------------------------------------------

_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")
_KEYS = (b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY", b"DSA PRIVATE KEY")

_LINE = 254
"""Bytes that OpenSSL reads of a line at once."""

_TRAILING = bytes([*range(0x21), *range(0x80, 0x100)])
"""What is cut off a line's end: blanks, and all that is negative where a char has a sign."""

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


class _Block(NamedTuple):
    name: bytes
    header: bytes
    data: bytes


class _Pem:
    """A file as PEM_read_bio goes through it, one block at a time. Text around blocks is passed over."""

    def __init__(self, data: bytes, *, bom: bool) -> None:
        self._data = data
        self._at = len(b"\xef\xbb\xbf") if bom and data.startswith(b"\xef\xbb\xbf") and len(data) > 3 else 0
        self._continues = self._partial = False

    def _line(self) -> bytes | None:
        """The next line without what trails it; None at the end, and where a line starts with a NUL."""
        end = self._data.find(b"\n", self._at, self._at + _LINE)
        end = end + 1 if end >= 0 else min(len(self._data), self._at + _LINE)
        line = self._data[self._at : end]
        self._at = end
        line = line.partition(b"\0")[0]
        self._continues, self._partial = self._partial, len(line) == _LINE and not line.endswith(b"\n")
        return line.rstrip(_TRAILING) if line else None

    def block(self) -> _Block | None:
        """The next block, or None at the end. Raises _Damaged, and stands behind the damage then."""
        while (line := self._line()) is not None:
            if line.startswith(b"-----BEGIN ") and line.endswith(b"-----") and len(line) >= 16:
                return self._inside(line[11:-5])
        return None

    def _inside(self, name: bytes) -> _Block:
        parts: list[list[bytes]] = [[], []]
        state = "maybe"
        short = False
        last = b"-----END " + name + b"-----"
        while True:
            line = self._line()
            if line is None:
                raise _Damaged("holds a PEM block that is cut off")
            if state == "maybe" and b":" in line:
                state = "header"
            if not line:
                if self._continues:
                    continue
                if state == "data":
                    raise _Damaged("holds a PEM block with blank lines in it")
                state = "data"
                continue
            if line.startswith(b"-----END "):
                if line != last:
                    raise _Damaged("holds a PEM block that is cut off")
                break
            if short or (state == "data" and len(line) > 64):
                raise _Damaged("holds a PEM block with lines of another length")
            parts[state == "data"].append(line)
            short = state == "data" and len(line) < 64
        header, data = (b"\n".join(part) for part in parts)
        if state == "maybe":
            header, data = b"", header
        decoded = _base64(data)
        # Also where all of it stood in the header.
        if not decoded:
            raise _Damaged("holds a PEM block that is damaged")
        return _Block(name, header, decoded)


def _base64(data: bytes) -> bytes | None:
    """Decode as EVP_DecodeUpdate does: a hyphen ends it."""
    text = b"".join(data.partition(b"-")[0].split())
    body = text.rstrip(b"=")
    if len(text) % 4 or len(text) - len(body) > 2 or b"=" in body or not _BASE64.issuperset(body):
        return None
    try:
        return a2b_base64(text)
    except Error:
        return None


def _kind(block: _Block) -> str:
    return block.name.decode("latin-1") or "a block without a name"


# --- DER -------------------------------------------------------------------------------------------------------------

_INTEGER, _BITS, _OCTETS, _OID, _SEQUENCE, _SET = 0x02, 0x03, 0x04, 0x06, 0x30, 0x31
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


class _Der:
    """A cursor over the elements of one level."""

    __slots__ = ("_at", "_data", "_end", "_start")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._start = self._at = start
        self._end = len(data) if end is None else end

    @property
    def more(self) -> bool:
        return self._at < self._end

    @property
    def left(self) -> int:
        return self._end - self._at

    @property
    def content(self) -> bytes:
        return self._data[self._start : self._end]

    def tag(self) -> int:
        """The tag of the next element, -1 at the end."""
        return self._data[self._at] if self.more else -1

    def next(self) -> _Der:
        """The next element, whatever it is."""
        data, at, end = self._data, self._at, self._end
        if at + 2 > end:
            raise _Damaged("holds a block that is damaged")
        if data[at] & 0x1F == 0x1F:
            raise _Undecided("a certificate or key has a field of an unusual type in it")
        length = data[at + 1]
        at += 2
        if length == 0x80:
            raise _Undecided("a certificate or key is in BER, not DER")
        if length > 0x80:
            width = length & 0x7F
            length = int.from_bytes(data[at : at + width], "big")
            at += width
        if at + length > end:
            raise _Damaged("holds a block that is damaged")
        self._at = at + length
        return _Der(data, at, at + length)

    def take(self, *tags: int) -> _Der:
        """The next element, which has one of these tags."""
        if self.tag() not in tags:
            raise _Damaged("holds a block that is damaged")
        return self.next()

    def optional(self, tag: int) -> _Der | None:
        """The next element where it has this tag."""
        return self.next() if self.tag() == tag else None

    def whole(self, tag: int) -> bytes:
        """The bytes of the next element, with its tag."""
        start = self._at
        self.take(tag)
        return self._data[start : self._at]

    def number(self) -> int:
        return int.from_bytes(self.take(_INTEGER).content, "big", signed=True)

    def oid(self) -> str:
        content = self.take(_OID).content
        if not content or content[-1] & 0x80:
            raise _Damaged("holds a block that is damaged")
        parts, value = [], 0
        for byte in content:
            if byte == 0x80 and not value:
                raise _Damaged("holds a block that is damaged")
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                parts.append(value)
                value = 0
        first = min(parts[0] // 40, 2)
        return ".".join(map(str, (first, parts[0] - 40 * first, *parts[1:])))

    def bits(self) -> bytes:
        content = self.take(_BITS).content
        if not content or content[0] > 7:
            raise _Damaged("holds a block that is damaged")
        return content[1:]


class _Public(NamedTuple):
    """A public key. `algorithm` names its slot, empty where TLS has none; `identity` is equal for equal keys."""

    algorithm: str = ""
    key_type: str = ""
    bits: int = 0
    curve: str = ""
    identity: tuple[object, ...] = ()


class _Private(NamedTuple):
    algorithm: str
    public: tuple[object, ...]
    file: str


class _Certificate(NamedTuple):
    file: str
    issuer: tuple[tuple[str, str], ...]
    subject: tuple[tuple[str, str], ...]
    common_name: str
    not_before: int
    not_after: int
    public: _Public
    signature_hash: str
    alternative: bool
    names: tuple[str, ...]
    unfit: tuple[str, ...]
    spki: bytes


_ALGORITHMS = {
    "1.2.840.113549.1.1.1": "rsa",
    "1.2.840.113549.1.1.10": "rsapss",
    "1.2.840.10040.4.1": "dsa",
    "1.2.840.10045.2.1": "ecdsa",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "2.16.840.1.101.3.4.3.17": "mldsa44",
    "2.16.840.1.101.3.4.3.18": "mldsa65",
    "2.16.840.1.101.3.4.3.19": "mldsa87",
}

_AGREEMENT = ("1.3.101.110", "1.3.101.111")
"""X25519 and X448: keys that can be read, and sign nothing."""

_BITS_OF = {"ed25519": 256, "ed448": 456}

_HASHES = {
    "1.2.840.113549.1.1.2": "md2",
    "1.2.840.113549.1.1.3": "md4",
    "1.2.840.113549.1.1.4": "md5",
    "1.2.840.113549.1.1.5": "sha1",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.113549.1.1.14": "sha224",
    "1.2.840.10045.4.1": "sha1",
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "1.2.840.10040.4.3": "sha1",
    "2.16.840.1.101.3.4.3.1": "sha224",
    "2.16.840.1.101.3.4.3.2": "sha256",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
}
"""Signature algorithms, and the hashes that RSA-PSS names apart."""


def _certificate_of(block: _Block, path: str, *, excess: bool) -> _Certificate:
    """Read a certificate. With `excess` anything may stand behind it in its block."""
    try:
        return _certificate(block.data, path, excess=excess)
    except _Damaged:
        raise _Disabled(f"{path} holds a certificate that is damaged", path) from None


def _trust_settings(data: bytes) -> bool:
    """Whether what stands behind a certificate may be OpenSSL's own settings for it."""
    parts = _Der(data)
    try:
        parts.next()
        parts.take(_SEQUENCE)
    except (_Damaged, _Undecided):
        return False
    return True


def _certificate(data: bytes, path: str, *, excess: bool) -> _Certificate:
    outer = _Der(data)
    parts = outer.take(_SEQUENCE)
    if outer.more and not excess:
        raise _Damaged("holds a certificate with more behind it")
    body = parts.take(_SEQUENCE)
    if version := body.optional(0xA0):
        version.number()
    body.take(_INTEGER)
    body.take(_SEQUENCE).oid()
    issuer, _ = _name(body.take(_SEQUENCE))
    validity = body.take(_SEQUENCE)
    begins, ends = (_time(validity) for _ in range(2))
    subject, common_name = _name(body.take(_SEQUENCE))
    spki = body.whole(_SEQUENCE)
    public = _public(spki)
    body.optional(0x81)
    body.optional(0x82)
    extensions: dict[str, bytes] = {}
    if wrapped := body.optional(0xA3):
        listed = wrapped.take(_SEQUENCE)
        while listed.more:
            entry = listed.take(_SEQUENCE)
            oid = entry.oid()
            entry.optional(0x01)
            extensions[oid] = entry.take(_OCTETS).content
    if body.more:
        raise _Damaged("holds a certificate that is damaged")
    algorithm = parts.take(_SEQUENCE)
    signed = algorithm.oid()
    hashed = _HASHES.get(signed, "")
    if signed == "1.2.840.113549.1.1.10":
        hashed = _pss_hash(algorithm)
    parts.bits()
    alternative = extensions.get("2.5.29.17")
    return _Certificate(
        path, issuer, subject, common_name, begins, ends, public, hashed, alternative is not None,
        _alternative(alternative) if alternative is not None else (), _unfit(extensions), spki,
    )  # fmt: skip


_STRINGS = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
"""How text of some types is written; OpenSSL reads a name only if all in it can be decoded."""


def _name(listed: _Der) -> tuple[tuple[tuple[str, str], ...], str]:
    """A distinguished name in a form that is equal for equal names, and its last common name as it is written."""
    entries, common_name = [], ""
    while listed.more:
        group = listed.take(_SET)
        while group.more:
            entry = group.take(_SEQUENCE)
            kind = entry.oid()
            coding = _STRINGS.get(entry.tag(), "latin-1")
            try:
                text = entry.next().content.decode(coding)
            except UnicodeDecodeError:
                raise _Damaged("holds a certificate that is damaged") from None
            entries.append((kind, " ".join(text.lower().split())))
            common_name = text if kind == "2.5.4.3" else common_name
    return tuple(entries), common_name


def _time(validity: _Der) -> int:
    tag = validity.tag()
    digits = validity.take(_UTC_TIME, _GENERALIZED_TIME).content.removesuffix(b"Z")
    if tag == _UTC_TIME:
        digits = (b"20" if digits < b"50" else b"19") + digits
    if len(digits) != 14 or not digits.isdigit():
        raise _Undecided("a certificate has a time in it that is not of the usual form")
    year, rest = int(digits[:4]), [int(digits[at : at + 2]) for at in range(4, 14, 2)]
    return timegm((year, *rest))


def _pss_hash(algorithm: _Der) -> str:
    if algorithm.tag() == _SEQUENCE and (wrapped := algorithm.next().optional(0xA0)):
        return _HASHES.get(wrapped.take(_SEQUENCE).oid(), "")
    return "sha1"


def _alternative(data: bytes) -> tuple[str, ...]:
    hosts, addresses = [], []
    try:
        listed = _Der(data).take(_SEQUENCE)
        while listed.more:
            tag = listed.tag()
            content = listed.next().content
            if tag == 0x82:
                hosts.append(content.decode("latin-1").lower())
            elif tag == 0x87 and len(content) in (4, 16):
                addresses.append(str(ip_address(content)))
    except (_Damaged, _Undecided):
        pass  # A client meets the same.
    return (*hosts, *addresses)


def _unfit(extensions: dict[str, bytes]) -> tuple[str, ...]:
    found = []
    try:
        usage = extensions.get("2.5.29.15")
        if usage is not None and not _Der(usage).bits()[:1] >= b"\x80":
            found.append("digitalSignature")
        purposes = extensions.get("2.5.29.37")
        if purposes is not None:
            listed = _Der(purposes).take(_SEQUENCE)
            named = set()
            while listed.more:
                named.add(listed.oid())
            if not named & {"1.3.6.1.5.5.7.3.1", "2.5.29.37.0"}:
                found.append("serverAuth")
    except (_Damaged, _Undecided):
        pass
    return tuple(found)


# --- keys ------------------------------------------------------------------------------------------------------------


def _public(info: bytes) -> _Public:
    """The key of a certificate (SubjectPublicKeyInfo). One that OpenSSL cannot make sense of has no algorithm."""
    parts = _Der(info).take(_SEQUENCE)
    kind = parts.take(_SEQUENCE)
    algorithm = _ALGORITHMS.get(kind.oid(), "")
    value = parts.bits()
    try:
        if algorithm in ("rsa", "rsapss"):
            numbers = _Der(value).take(_SEQUENCE)
            modulus, exponent = numbers.number(), numbers.number()
            bits = modulus.bit_length()
            return _Public(algorithm, f"{algorithm}-{bits}", bits, "", (algorithm, modulus, exponent))
        if algorithm in ("ecdsa", "dsa"):
            return _with_parameters(info, algorithm)
    except _Damaged:
        return _Public()
    return _Public(algorithm, algorithm, _BITS_OF.get(algorithm, 8 * len(value)), "", (algorithm, value))


def _with_parameters(info: bytes, algorithm: str) -> _Public:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return _described(load_der_public_key(info), algorithm)
    except UnsupportedAlgorithm:
        raise _Undecided("a certificate has a key that mailcfg does not know") from None
    except ValueError:
        raise _Damaged("holds a certificate with a damaged key") from None


def _described(key: object, algorithm: str) -> _Public:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from mailcfg.certificates.inspect import CURVES

    if isinstance(key, ec.EllipticCurvePublicKey):
        curve = key.curve.name
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return _Public("ecdsa", CURVES.get(curve, f"ecdsa-{curve}"), key.key_size, curve, ("ecdsa", curve, point))
    if isinstance(key, dsa.DSAPublicKey):
        numbers = key.public_numbers()
        group = numbers.parameter_numbers
        return _Public("dsa", "dsa", key.key_size, "", ("dsa", numbers.y, group.p, group.g))
    raise _Damaged("holds a certificate with a damaged key")


def _private(block: _Block, path: str, openssl: Version, *, excess: bool) -> _Private:
    """The public half of a private key. Raises _Damaged, and _Undecided for what `cryptography` does not know."""
    outer = _Der(block.data)
    try:
        parts = outer.take(_SEQUENCE)
        if outer.more and not excess:
            raise _Damaged("holds a key with more behind it")
        parts.number()
        if block.name == b"RSA PRIVATE KEY" and parts.tag() == _INTEGER:
            return _rsa(parts, "rsa", path)
        if block.name == b"EC PRIVATE KEY" and parts.tag() == _OCTETS:
            return _elliptic(_Der(block.data).take(_SEQUENCE), None, block.data, path)
        if block.name != b"DSA PRIVATE KEY" or parts.tag() == _SEQUENCE:
            return _wrapped_key(parts, path, openssl)
    except _Damaged:
        raise _Damaged("holds a key that is damaged") from None
    return _by_library(block.data[: len(block.data) - outer.left], path)


def _wrapped_key(parts: _Der, path: str, openssl: Version) -> _Private:
    """A key in the form that says its own type (PKCS #8), behind its version, which OpenSSL does not look at."""
    kind = parts.whole(_SEQUENCE)
    key = parts.whole(_OCTETS)
    parts.optional(0xA0)
    if openssl >= POST_QUANTUM:
        parts.optional(0x81)
    if parts.more:
        raise _Damaged("holds a key that is damaged")
    named = _Der(kind).take(_SEQUENCE)
    oid = named.oid()
    algorithm = _ALGORITHMS.get(oid, "")
    whole = _sequence(b"\x02\x01\x00" + kind + key)
    inner = _Der(key).take(_OCTETS)
    if algorithm in ("rsa", "rsapss"):
        numbers = _Der(inner.content).take(_SEQUENCE)
        numbers.number()
        return _rsa(numbers, algorithm, path)
    if algorithm == "ecdsa":
        return _elliptic(_Der(inner.content).take(_SEQUENCE), named.whole(named.tag()), whole, path)
    if oid in _AGREEMENT:
        return _Private("", (), path)
    if not algorithm:
        raise _Damaged("holds a key that is damaged")
    if algorithm.startswith("mldsa"):
        return _from_seed(kind, inner, path)
    return _by_library(whole, path)


def _from_seed(kind: bytes, inner: _Der, path: str) -> _Private:
    """A key of type ML-DSA, of whose three forms the library knows the one that is only a seed."""
    content = inner.content
    if inner.tag() == _SEQUENCE:
        content = b"\x80\x20" + inner.next().take(_OCTETS).content
    try:
        return _by_library(_sequence(b"\x02\x01\x00" + kind + bytes((_OCTETS, len(content) & 0xFF)) + content), path)
    except _Damaged:
        raise _Undecided(f"{path}: a key of a kind that mailcfg does not know") from None


def _rsa(numbers: _Der, algorithm: str, path: str) -> _Private:
    modulus, exponent = numbers.number(), numbers.number()
    for _ in range(6):
        numbers.number()
    return _Private(algorithm, (algorithm, modulus, exponent), path)


def _elliptic(parts: _Der, curve: bytes | None, whole: bytes, path: str) -> _Private:
    """A key on a curve, with the public half that stands beside it: OpenSSL does not ask whether it is right."""
    parts.number()
    parts.take(_OCTETS)
    if (named := parts.optional(0xA0)) and curve is None:
        curve = named.content
    point = parts.optional(0xA1)
    if curve is None or point is None:
        return _by_library(whole, path)
    algorithm = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01" + curve
    bits = point.whole(_BITS)
    info = _sequence(_sequence(algorithm) + bits)
    public = _public(info)
    if not public.algorithm:
        raise _Damaged("holds a key that is damaged")
    return _Private("ecdsa", public.identity, path)


def _sequence(content: bytes) -> bytes:
    """A sequence in DER."""
    length = len(content)
    if length < 0x80:
        return bytes((_SEQUENCE, length)) + content
    width = length.bit_length() + 7 >> 3
    return bytes((_SEQUENCE, 0x80 | width)) + length.to_bytes(width, "big") + content


def _by_library(data: bytes, path: str) -> _Private:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

    try:
        private = load_der_private_key(data, None)
        public = _public(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    except UnsupportedAlgorithm:
        raise _Undecided(f"{path}: a key of a kind that mailcfg does not know") from None
    except (ValueError, TypeError):
        raise _Damaged("holds a key that is damaged") from None
    return _Private(public.algorithm, public.identity, path)
