"""curate: from a raw web crawl to a training-ready dataset."""
