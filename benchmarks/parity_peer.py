"""What the datatrove of this environment decides: texts in, decisions out, both as JSON lines.

`parity.py` runs this with the Python of another environment: it imports datatrove alone, and runs
with datatrove 0.2.0 as with 0.10.
"""

import json
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

FILTERS = {
    "gopher_repetition": GopherRepetitionFilter(),
    "gopher_quality": GopherQualityFilter(),
    "c4_quality": C4QualityFilter(filter_no_terminal_punct=False),
    "fineweb_quality": FineWebQualityFilter(None),
}


def decide(name: str, text: str) -> tuple[str, str]:
    """Return the drop reason ("" for keep) and the text after the filter."""
    document = Document(text=text, id="")
    try:
        result = FILTERS[name].filter(document)
    except ZeroDivisionError:
        return "ZeroDivisionError", text
    return "" if result is True else result[1], document.text


def main() -> None:
    for line in sys.stdin:
        text = json.loads(line)["text"]
        start = time.thread_time()
        decisions = {name: decide(name, text) for name in FILTERS}
        seconds = time.thread_time() - start
        rewritten = decisions["c4_quality"][1]
        after_c4 = decide("fineweb_quality", rewritten)[0]
        print(
            json.dumps(
                {
                    "reasons": {name: reason for name, (reason, _) in decisions.items()},
                    "rewritten": rewritten,
                    "after_c4": after_c4,
                    "seconds": seconds,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
