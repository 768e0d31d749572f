"""Near-duplicate detection: the algorithms, as pure functions over arrays.

`minhash` turns a text into shingles, a signature and bucket keys, `buckets` finds documents with
equal keys, `clusters` joins the pairs and chooses whom to keep, `verify` asks for proof.
"""
