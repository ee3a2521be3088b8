"""The command line: words in, settings composed, results and errors out."""
