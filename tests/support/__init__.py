"""What tests share: fakes of the ports, real lakes and their processes, files to feed."""
