"""The command line: arguments and exit codes, one file a command, nothing else."""
