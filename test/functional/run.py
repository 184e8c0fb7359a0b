#!/usr/bin/env python3
"""Runs the functional tests, or those of another folder: run.py [--build DIR] [--folder DIR] [NAME...]; NAME: test_reorg, or test_reorg.Reorg.test_deep.
The last line says how many passed and failed; the exit status is 0 when all passed."""
import argparse
import os
import sys
import time
import unittest


class Lines(unittest.TextTestResult):
    """One line per test, with its time."""

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        bad = any(getattr(case, "test_case", case) is test for case, _ in self.failures + self.errors)
        print(f"{'FAILED' if bad else 'ok':7}{time.monotonic() - self.began:7.1f} s  {test.id()}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--folder", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    os.environ["COIN_BUILD"] = os.path.abspath(given.build)
    folder = os.path.abspath(given.folder)
    sys.path[:0] = [folder, here]
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(given.names) if given.names else loader.discover(folder)
    runner = unittest.TextTestRunner(resultclass=Lines, stream=sys.stdout, verbosity=0)
    result = runner.run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{os.path.basename(folder)}: {result.testsRun - failed} passed, {failed} failed")
    return failed > 0 or result.testsRun == 0


if __name__ == "__main__":
    sys.exit(main())
