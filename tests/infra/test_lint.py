"""What AWS's own rules and common advice say of the template and the workflows. Nothing is looked up on the network.

LINT_TOOLS: the folder of the tools; target/lint-tools/bin without it.
"""

import os
import re
import subprocess
import tempfile
import unittest

from template import REPOSITORY, TEMPLATE, lint_tools


def run(tool, *arguments):
    """Runs a tool at the repository's root, without credentials."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [lint_tools() / tool, *arguments],
            cwd=REPOSITORY,
            env={
                "PATH": f"{lint_tools()}:{os.environ['PATH']}",
                "HOME": home,
                "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "none",
                "AWS_SECRET_ACCESS_KEY": "none",
                "SAM_CLI_TELEMETRY": "0",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )


class Lint(unittest.TestCase):
    def clean(self, tool, *arguments):
        done = run(tool, *arguments)
        self.assertEqual(done.returncode, 0, f"{tool}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_cfn_lint(self):
        self.clean("cfn-lint")
        # It does look at the template: a typing error is found.
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as broken:
            broken.write(TEMPLATE.read_text().replace("!GetAtt Table.Arn", "!GetAtt Tabel.Arn"))
            broken.flush()
            self.assertNotEqual(run("cfn-lint", broken.name).returncode, 0)

    def test_sam_validate(self):
        output = self.clean("sam", "validate", "--lint", "--template", "infra/template.yaml")
        self.assertIn("is a valid SAM Template", output)

    def test_checkov(self):
        output = self.clean("checkov", "--config-file", ".checkov.yaml")
        passed = [int(number) for number in re.findall(r"Passed checks: (\d+), Failed checks: 0", output)]
        self.assertGreaterEqual(len(passed), 2, output)
        self.assertTrue(all(number > 0 for number in passed), output)

    def test_actionlint(self):
        self.clean("actionlint")

    def test_every_accepted_finding_has_its_reason(self):
        accepted = 0
        for name, pattern in ((".checkov.yaml", r"^  - CKV"), (".cfnlintrc", r"^  - [EWI]\d{4}")):
            before = ""
            for line in (REPOSITORY / name).read_text().splitlines():
                if re.match(pattern, line):
                    self.assertRegex(before, r"^\s*# \w", f"{name}: {line}")
                    accepted += 1
                before = line
        self.assertGreater(accepted, 0)


if __name__ == "__main__":
    unittest.main()
