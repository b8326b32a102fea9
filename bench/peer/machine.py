"""What the measurements of PyTorch's side tell of the machine."""
import os
import platform
import time

import torch


def machine_seconds():
    """CPU seconds that the machine has spent so far, all cores; None where it does not tell."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _idle, _wait, irq, softirq, *_ = (int(x) for x in file.readline().split()[1:])
    except OSError:
        return None
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Others:
    """Watches, from now on, how busy other processes keep the machine."""

    def __init__(self):
        self.machine, self.own, self.began = machine_seconds(), time.process_time(), time.perf_counter()

    def cores(self):
        """Cores that they used on average; None where the machine does not tell."""
        if self.machine is None:
            return None
        spent = machine_seconds() - self.machine - (time.process_time() - self.own)
        return max(0.0, spent / (time.perf_counter() - self.began))


def peak_mib():
    """Largest resident size of this process."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource

        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / 2**20 if platform.system() == "Darwin" else size / 1024


def versions_of(*modules):
    """Of PyTorch, what it computes with, and more modules."""
    found = dict(
        torch=torch.__version__,
        python=platform.python_version(),
        vectors=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        **{module.__name__: module.__version__ for module in modules},
    )
    try:
        with open("/proc/self/maps") as file:
            libraries = {line.split()[-1] for line in file if "blas" in line or "blis" in line or "libmkl" in line}
        found["blas"] = ", ".join(sorted({os.path.basename(os.path.realpath(path)) for path in libraries}))
    except OSError:
        pass
    return found
