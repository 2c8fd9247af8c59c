"""The child process that reads the GPUs.

The only room that knows NVML. It runs as ``python -m gpuglass.probe``, writes frames (see
``frames``) to its standard output and ends when its standard input closes, so that a hang or a
crash of the driver's library never reaches the process that answers ``/metrics``.
"""
