"""What tests share: servers, waiting on conditions, running the command line."""
