from __future__ import annotations

import errno

import av.error
import pytest
from av.error import tag_to_code

from ecolite_stream.errors import SourceError
from ecolite_stream.sources.failures import (
    FILE_PROBLEMS,
    URL_PROBLEMS,
    Problems,
    camera_problems,
    source_error,
)

CAMERA_PROBLEMS = camera_problems("choose another")


@pytest.mark.parametrize(
    ("problems", "error", "words"),
    [
        (FILE_PROBLEMS, PermissionError(errno.EACCES, "Permission denied"), "may not be read"),
        (FILE_PROBLEMS, av.error.FileNotFoundError(errno.ENOENT, "No such file"), "no such file"),
        (FILE_PROBLEMS, IsADirectoryError(errno.EISDIR, ""), "is a directory"),
        (
            FILE_PROBLEMS,
            av.error.InvalidDataError(tag_to_code(b"INDA"), "Invalid data"),
            "no video",
        ),
        (CAMERA_PROBLEMS, OSError(errno.EBUSY, "Device or resource busy"), "another program"),
        (CAMERA_PROBLEMS, av.error.OSError(errno.ENODEV, "No such device"), "gone"),
        (CAMERA_PROBLEMS, PermissionError(errno.EACCES, "Permission denied"), "group video"),
        (CAMERA_PROBLEMS, av.error.FileNotFoundError(errno.ENOENT, ""), "choose another"),
        (URL_PROBLEMS, av.error.ConnectionRefusedError(errno.ECONNREFUSED, ""), "refused"),
        (URL_PROBLEMS, av.error.TimeoutError(errno.ETIMEDOUT, ""), "no answer in time"),
        (
            URL_PROBLEMS,
            av.error.ExitError(tag_to_code(b"EXIT"), "Immediate exit"),
            "no answer in time",
        ),
        (URL_PROBLEMS, av.error.HTTPUnauthorizedError(tag_to_code(b"\xf8401"), ""), "401"),
        (URL_PROBLEMS, av.error.HTTPForbiddenError(tag_to_code(b"\xf8403"), ""), "403"),
        (URL_PROBLEMS, av.error.HTTPNotFoundError(tag_to_code(b"\xf8404"), ""), "404"),
        (URL_PROBLEMS, av.error.HTTPServerError(tag_to_code(b"\xf85XX"), ""), "5xx"),
        (URL_PROBLEMS, av.error.OSError(errno.EHOSTUNREACH, ""), "cannot be reached"),
        (URL_PROBLEMS, av.error.OSError(errno.EIO, ""), "unknown"),
    ],
)
def test_usual_errors_are_explained(problems: Problems, error: Exception, words: str) -> None:
    translated = source_error("kitchen", error, problems)
    assert isinstance(translated, SourceError)
    assert str(translated).startswith("kitchen: ")
    assert words in str(translated)
    assert ";" in str(translated)
    assert "\n" not in str(translated)


def test_unusual_errors_keep_their_reason_but_not_the_url() -> None:
    error = av.error.OSError(errno.EMFILE, "Too many open files", "rtsp://me:secret@cam/")
    text = str(source_error("kitchen", error, URL_PROBLEMS))
    assert "Too many open files" in text
    assert "secret" not in text
