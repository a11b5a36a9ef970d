"""Object store on S3: Ceph's RADOS Gateway first, any other that gives MD5 sums as ETags."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO, cast
from xml.sax.saxutils import escape

import structlog

from pogo.errors import NotFound, PogoError, Unavailable
from pogo.store.copies import Copies
from pogo.store.files import check_key, file_chunks
from pogo.store.s3_client import Broken, Bucket, Client, Refused, breaking, text_of

log = structlog.get_logger()
PART = 8 << 20  # S3: at least 5 MiB, at most 10,000 of them
PARALLEL = 4
SMALL = 1 << 20  # read at once when it is opened
ABANDONED = timedelta(days=1)
ABORT_SECONDS = 5.0
PART_SIZE = "x-amz-meta-part-bytes"
RULE = (
    b"<LifecycleConfiguration><Rule><ID>pogo-unfinished</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>"
    b"<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    b"</Rule></LifecycleConfiguration>"
)
_SUM = re.compile(r"[0-9a-f]{32}(-\d+)?")
_SLUG = re.compile(r"slugs/([0-9a-f]{64})-[0-9a-f-]{36}\.squashfs")


class S3Store:
    """`pogo.store.BlobStore` in a bucket. page: keys asked for at once by `list`.

    An object is seen only when S3 has all of it: one PUT, or a multipart upload that was completed.
    Each part's SHA-256 is signed, so the store refuses other bytes; its MD5 is compared with the ETag.
    What is read is compared with the ETag again, and where it ends too early it goes on from there.
    """

    def __init__(self, bucket: Bucket, copies: Path, largest: int, page: int = 1000) -> None:
        """copies, largest: directory and bytes of the local read cache."""
        self.client = Client(bucket)
        self._page = page
        self._copies = Copies(copies, largest)

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        check_key(key)
        parts = _parts(chunks)
        first = next(parts)
        if (second := next(parts, None)) is None:
            answer = self.client.request("PUT", key, body=first)
            _same(key, answer.headers.get("etag", ""), _md5(first).hexdigest())
            return len(first)
        upload = text_of(
            self.client.request("POST", key, {"uploads": ""}, headers={PART_SIZE: str(PART)}).xml(), "UploadId"
        )
        try:
            size, sums = self._put_parts(key, upload, _chained(first, second, parts))
            self._complete(key, upload, sums)
        except BaseException:
            self._abort(key, upload, ABORT_SECONDS)
            raise
        return size

    def put_file(self, key: str, path: Path) -> int:
        return self.put(key, file_chunks(path, PART))

    def open(self, key: str) -> BinaryIO:
        return self._open(check_key(key), summed=True)

    def _open(self, key: str, *, summed: bool) -> BinaryIO:
        """summed: compare the bytes with the ETag. Who checks them by their SHA-256 saves the time for the MD5."""
        raw = _Reader(self.client, key, summed=summed)
        if raw.size <= SMALL:
            with raw:
                return io.BytesIO(raw.read())
        return cast(BinaryIO, io.BufferedReader(raw, SMALL))

    def size(self, key: str) -> int:
        return int(self.client.request("HEAD", check_key(key)).headers["content-length"])

    def delete(self, key: str) -> None:
        with suppress(NotFound):
            self.client.request("DELETE", check_key(key))
        self._copies.remove(key)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, sorted; asked for page by page."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(self._page)}
        while True:
            page = self.client.request("GET", "", query).xml()
            for child in page:
                if child.tag.endswith("}Contents"):
                    yield text_of(child, "Key")
            if text_of(page, "IsTruncated") != "true":
                return
            query["continuation-token"] = text_of(page, "NextContinuationToken")

    def local(self, key: str) -> Path:
        """A copy on this machine's disk. That of a slug, which never changes, is given without asking the store."""
        if slug := _SLUG.fullmatch(check_key(key)):
            return self._copies.get(key, slug[1], lambda: self._open(key, summed=False), slug[1])
        etag = _etag(self.client.request("HEAD", key).headers.get("etag", ""))
        return self._copies.get(key, re.sub(r"[^0-9a-z-]", "", etag.lower()), lambda: self.open(key))

    def free_copies(self) -> bool:
        self._copies.shrink(0)
        return True

    def sweep(self) -> int:
        """Abort uploads that were begun a day ago and never ended, and remove half copies; returns how many."""
        swept = self._copies.sweep()
        page = self.client.request("GET", "", {"uploads": ""}).xml()
        for upload in page:
            if upload.tag.endswith("}Upload"):
                begun = datetime.fromisoformat(text_of(upload, "Initiated"))
                if datetime.now(UTC) - begun > ABANDONED:
                    self._abort(text_of(upload, "Key"), text_of(upload, "UploadId"), ABORT_SECONDS)
                    swept += 1
        return swept

    def ensure_bucket(self) -> None:
        """Make the bucket where it is missing. Raises Refused where that is not allowed.

        It aborts uploads that never end by itself, too, unless it has rules of the operator's own.
        """
        try:
            self.client.request("HEAD")
        except NotFound:
            self.client.request("PUT")
        try:
            self.client.request("GET", "", {"lifecycle": ""})
        except NotFound:
            self._set_rule()
        except Refused as error:
            log.warning("the rules of the bucket cannot be read", error=error.message)

    def _set_rule(self) -> None:
        sum = base64.b64encode(hashlib.md5(RULE, usedforsecurity=False).digest()).decode()
        try:
            self.client.request("PUT", "", {"lifecycle": ""}, RULE, {"content-md5": sum})
        except Refused as error:  # `sweep` aborts them all the same
            log.warning("the bucket takes no rule for uploads that never end", error=error.message)

    def _put_parts(self, key: str, upload: str, parts: Iterator[bytes]) -> tuple[int, Sequence[str]]:
        """Some at the same time. Returns the size and the MD5 of each."""

        def send(number: int, part: bytes) -> str:
            query = {"partNumber": str(number), "uploadId": upload}
            found = _md5(part).hexdigest()
            _same(key, self.client.request("PUT", key, query, part).headers.get("etag", ""), found)
            return found

        size, sent, running = 0, [], set[Future[str]]()
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="s3") as pool:
            for number, part in enumerate(parts, 1):
                size += len(part)
                sent.append(pool.submit(send, number, part))
                running.add(sent[-1])
                if len(running) >= PARALLEL:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        one.result()
            return size, [one.result() for one in sent]

    def _complete(self, key: str, upload: str, sums: Sequence[str]) -> None:
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(one)}&quot;</ETag></Part>"
            for number, one in enumerate(sums, 1)
        )
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        try:
            answer = self.client.request("POST", key, {"uploadId": upload}, body)
        except NotFound:  # an answer was lost: is it there?
            whole = _md5(b"".join(bytes.fromhex(one) for one in sums)).hexdigest()
            _same(key, self.client.request("HEAD", key).headers.get("etag", ""), f"{whole}-{len(sums)}")
            return
        if answer.xml().tag.endswith("Error"):  # S3 may say 200 before it knows
            raise Unavailable(f"The object store did not complete {key!r}: {text_of(answer.xml(), 'Code')}.")

    def _abort(self, key: str, upload: str, patience: float) -> None:
        try:
            self.client.request("DELETE", key, {"uploadId": upload}, patience=patience)
        except NotFound:
            return
        except PogoError as error:  # it is invisible, and `sweep` finds it
            log.warning("an upload is left in the object store", key=key, error=error.message)


class _Reader(io.RawIOBase):
    """The bytes of an object as it was when this was opened. Raises Unavailable where they cannot be had whole."""

    def __init__(self, client: Client, key: str, *, summed: bool) -> None:
        self._client, self._key, self._at, self._summed = client, key, 0, summed
        self._stack = ExitStack()
        self._response: HTTPResponse | None = None
        self.size, self._etag, self._part = -1, "", 0
        self._whole, self._sums = _md5(), b""
        self._restart()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: self.size - self._at]
        if not view:
            return 0
        count = 0
        while not count:
            try:
                if self._response is None:
                    raise Broken("cut off")
                with breaking("GET"):
                    count = self._response.readinto(view)
                if not count:
                    raise Broken("cut off")
            except Broken as error:
                log.warning("reading an object goes on where it was cut off", key=self._key, error=str(error))
                self._restart()
        if self._summed:
            self._count(view[:count])
        else:
            self._at += count
        return count

    def close(self) -> None:
        self._response = None
        self._stack.close()
        super().close()

    def _restart(self) -> None:
        self._response = None
        self._stack.close()
        self._client.insist(self._begin, f"GET {self._key}")

    def _begin(self) -> None:
        headers = {"range": f"bytes={self._at}-"} if self._at else {}
        response = self._stack.enter_context(self._client.response("GET", self._key, headers=headers))
        etag = _etag(response.getheader("etag", ""))
        if self.size < 0:
            self._etag, self.size = etag, int(response.getheader("content-length", "0"))
            self._part = int(response.getheader(PART_SIZE) or 0)
            if not self.size:
                response.read()
        elif etag != self._etag or (self._at and response.status != 206):
            raise Unavailable(f"The object {self._key!r} was replaced while it was read. Try again.")
        self._response = response

    def _count(self, data: memoryview) -> None:
        """Keep the sums; at the end, compare."""
        multipart = self._part and "-" in self._etag
        while data:
            room = self._part - self._at % self._part if multipart else len(data)
            piece, data = data[:room], data[room:]
            self._whole.update(piece)
            self._at += len(piece)
            if multipart and (self._at % self._part == 0 or self._at == self.size):
                self._sums += self._whole.digest()
                self._whole = _md5()
        if self._at == self.size and (multipart or "-" not in self._etag):
            count = len(self._sums) // 16
            found = f"{_md5(self._sums).hexdigest()}-{count}" if multipart else self._whole.hexdigest()
            _same(self._key, self._etag, found)


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes by PART; one at least, if empty."""
    buffer, any_part = bytearray(), False
    for chunk in chunks:
        if len(chunk) == PART and not buffer:
            any_part = True
            yield chunk
            continue
        buffer += chunk
        while len(buffer) > PART:
            any_part = True
            with memoryview(buffer) as view:
                part = bytes(view[:PART])
            yield part
            del buffer[:PART]
    if buffer or not any_part:
        yield bytes(buffer)


def _chained(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _same(key: str, etag: str, found: str) -> None:
    """Raises Unavailable where the store's sum of an object is not that of its bytes."""
    if _etag(etag) == found:
        return
    if not _SUM.fullmatch(_etag(etag)):
        raise Unavailable(
            f"The object store gives no MD5 sum of {key!r} ({etag}), so that nothing could be checked."
            " Encryption by SSE-KMS does that: use SSE-S3 or none."
        )
    raise Unavailable(f"The object {key!r} is damaged: its MD5 is {found}, but has to be {_etag(etag)}.")


def _etag(header: str) -> str:
    return header.strip('"')


def _md5(data: bytes = b"") -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)
