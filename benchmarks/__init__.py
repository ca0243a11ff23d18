"""One file a question; every answer is a ratio measured in one run, kept as JSON with machine and date."""
