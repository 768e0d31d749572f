"""Every error of curate.

    CurateError                what a user can cause or meet; the message is at most three lines
    ├── DefinitionError        the pipeline file, a parameter or a step's value is wrong   (exit 2)
    ├── InputError             an input is missing or cannot be read at all                (exit 2)
    ├── StorageError           the run cannot be written, such as a full disk              (exit 1)
    ├── ClusterError           Slurm refuses a job, or its tasks cannot begin              (exit 1)
    └── DocumentError          one document cannot be processed: it is recorded as failed

A message says where, what, what is allowed and what to do next. Anything that is not a CurateError
is a defect of curate and keeps its stack trace.
"""

from __future__ import annotations

import errno

_OF_THE_MACHINE = frozenset(
    (
        *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE),
        *(errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE),
    )
)


class CurateError(Exception):
    """An error with a message written for the user."""


class DefinitionError(CurateError):
    """The pipeline definition, a parameter or the value of a step is wrong."""


class InputError(CurateError):
    """An input does not exist or cannot be opened."""


class StorageError(CurateError):
    """The output cannot be written."""


class ClusterError(CurateError):
    """Slurm refuses a job, or its tasks cannot begin to work."""


class DocumentError(CurateError):
    """One document cannot be processed.

    Args:
        reason: stable snake_case code; the decision reads `failed`, `<step>/<reason>`.
        message: what happened, for a person.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.message = message


class SignalledError(SystemExit):
    """A signal ended the process: no fault of the pipeline file that it was reading."""


def is_of_machine(error: BaseException) -> bool:
    """Tell whether an error is of the machine: no space, no memory, too many open files, bad disk.

    It says nothing about the document that met it, which another try may well process.
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, OSError) and error.errno in _OF_THE_MACHINE
