"""One page and its questions over HTTP, on this machine and for who has the token; knows nothing of runs."""
