# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads blocks of a file past the page cache with several threads, from the given time on for so many
seconds, and prints how many blocks it was: readers.py FILE BEGIN SECONDS."""
import mmap
import os
import random
import sys
import threading
import time

BLOCK = 64 * 1024
path, begin, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
blocks = os.stat(path).st_size // BLOCK
counts = []


def read():
    fd, buffer, count = os.open(path, os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, BLOCK), 0
    time.sleep(max(0, begin - time.time()))
    while time.time() < begin + seconds:
        os.preadv(fd, [buffer], random.randrange(blocks) * BLOCK)
        count += 1
    counts.append(count)


threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sum(counts))
