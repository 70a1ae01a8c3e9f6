"""Runs `warmd diff` and writes the result as one comment on a pull request, which later runs update.

Settings come from the environment, see action.yml. The exit code is 0, or that of `warmd diff` if it is not 0 or 4, or
1 if the comment could not be written for another reason than a missing permission.
"""

import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

# GitHub allows 65,536 characters in a comment.
MOST_CHARACTERS = 60_000
MOST_BYTES = 16 << 20
PAGE = 100
MOST_PAGES = 100
ATTEMPTS = 3
TIMEOUT = 30
CHANGED, ABOVE_LIMIT = 4, 5
# The account of the token of a job.
JOB_ACCOUNT = "github-actions[bot]"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which would send the token elsewhere."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def setting(name):
    return os.environ.get(f"PLAN_DIFF_{name}", "").strip()


def environment():
    """Returns the environment for other programs, without the token."""
    return {name: value for name, value in os.environ.items() if name != "PLAN_DIFF_TOKEN"}


def git(*arguments):
    subprocess.run(["git", *arguments], check=True, env=environment(), stdout=sys.stderr)


def git_output(*arguments):
    return subprocess.run(["git", *arguments], check=True, env=environment(), stdout=subprocess.PIPE, text=True).stdout


def base_commit():
    """Returns the commit before the change. The merge commit of a pull request has it as its first parent: the base of
    the event may be older, and changes of others would be attributed to the pull request."""
    if setting("OLD_REF"):
        return setting("OLD_REF")
    # The parents are in the commit itself. Revisions such as `HEAD^` lack them in a shallow clone.
    header = git_output("cat-file", "commit", "HEAD").partition("\n\n")[0].splitlines()
    parents = [line.removeprefix("parent ") for line in header if line.startswith("parent ")]
    return parents[0] if len(parents) == 2 and parents[1] == setting("HEAD") else setting("BASE")


def checked_out(ref, folder):
    """Checks out a commit, which is fetched if a shallow clone lacks it."""
    if not ref or ref.startswith("-"):
        raise SystemExit("error: expected a commit in `old-ref`, or a path in `old`")
    known = ["git", "cat-file", "-e", f"{ref}^{{commit}}"]
    if subprocess.run(known, env=environment(), stderr=subprocess.DEVNULL).returncode != 0:
        try:
            git("fetch", "--no-tags", "--depth=1", "origin", ref)
        except subprocess.CalledProcessError:
            raise SystemExit(
                f'error: expected a commit of this clone or of its origin, found "{ref}"\n'
                "hint: set `fetch-depth: 2` in the step of actions/checkout, or 0 for all commits"
            ) from None
        ref = "FETCH_HEAD"
    git("worktree", "add", "--detach", folder, ref)


def diff(old, new):
    """Runs `warmd diff`. Returns its exit code, its output, and its messages."""
    command = [setting("WARMD"), "diff", "--format", "markdown", "--exit-code"]
    command += ["--for", setting("PERIOD")]
    if setting("ONLY_IF_INCREASE") == "true":
        command.append("--only-if-increase")
    for option, name in [("--fail-above", "FAIL_ABOVE"), ("--prices", "PRICES")]:
        if setting(name):
            command += [option, setting(name)]
    done = subprocess.run([*command, "--", old, new], env=environment(), capture_output=True)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def compare():
    new = setting("NEW")
    if setting("OLD"):
        return diff(setting("OLD"), new)
    path = os.path.relpath(new, git_output("rev-parse", "--show-toplevel").rstrip("\n"))
    if path.split(os.sep)[0] == os.pardir or new.startswith("s3://"):
        raise SystemExit(
            f'error: expected a path in the work tree in `new`, found "{new}"\nhint: set `old` to compare other paths'
        )
    with tempfile.TemporaryDirectory() as folder:
        base = os.path.join(folder, "base")
        checked_out(base_commit(), base)
        try:
            old = os.path.join(base, path)
            if not os.path.exists(old):
                old = os.path.join(folder, "none.yaml")
                with open(old, "w", encoding="utf-8") as file:
                    file.write("version: 1\nfunctions: {}\n")
            return diff(old, new)
        finally:
            git("worktree", "remove", "--force", base)


def body(code, shown, messages):
    """Returns the text of the comment, without its marker."""
    if code not in (0, CHANGED, ABOVE_LIMIT):
        return f"**warmd**: the configurations cannot be compared (exit code {code}). The log has the reason.\n"
    if not shown:
        return "**warmd**: the cost does not rise.\n"
    # Above the limit, or the limit cannot be checked. These messages have no text of the configuration. They come
    # first, because a long difference is cut.
    notes = [f"**{line}**\n\n" for line in messages.splitlines() if line.startswith(("error: ", "warning: "))]
    return "".join(notes) + shown


def shortened(text):
    if len(text) <= MOST_CHARACTERS:
        return text
    cut = text[:MOST_CHARACTERS].rpartition("\n")[0]
    return f"{cut}\n\nThis is too long for a comment. The summary of the job has the rest.\n"


def call(method, path, content=None):
    """Calls the API of the repository. Returns the parsed answer."""
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    return send(method, f"{api}/repos/{os.environ['GITHUB_REPOSITORY']}{path}", content and {"body": content})


def send(method, url, content):
    """Sends JSON, or nothing. Returns the parsed answer."""
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, data=data, method=method)
    request.add_header("Accept", "application/vnd.github+json")
    request.add_header("Authorization", f"Bearer {setting('TOKEN')}")
    request.add_header("User-Agent", "warmd-plan-diff")
    if data:
        request.add_header("Content-Type", "application/json")
    with OPENER.open(request, timeout=TIMEOUT) as answer:
        text = answer.read(MOST_BYTES)
    return json.loads(text) if text else None


def account():
    """Returns the login of the token. Others can write the marker, so it does not suffice to find own comments.

    Tokens of apps, such as that of the job, may query it with GraphQL only."""
    if setting("AUTHOR"):
        return setting("AUTHOR")
    url = os.environ.get("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql")
    try:
        answer = send("POST", url, {"query": "{ viewer { login } }"})
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise
        answer = {}
    return ((answer.get("data") or {}).get("viewer") or {}).get("login") or JOB_ACCOUNT


def own_comments(number, marker, author):
    """Returns the ids of the comments of this author with this marker, the oldest first."""
    found = []
    for page in range(1, MOST_PAGES + 1):
        comments = call("GET", f"/issues/{number}/comments?per_page={PAGE}&page={page}")
        if not isinstance(comments, list):
            raise ValueError("expected a list of comments")
        for comment in comments:
            is_own = (comment.get("user") or {}).get("login") == author
            if is_own and (comment.get("body") or "").startswith(marker):
                found.append(int(comment["id"]))
        if len(comments) < PAGE:
            break
    return found


def write(number, marker, text, creates):
    """Updates the comment, or creates it. Every attempt looks for it first, so that a lost answer leaves one."""
    author = account()
    own = own_comments(number, marker, author)
    for surplus in own[1:]:
        call("DELETE", f"/issues/comments/{surplus}")
    if own:
        call("PATCH", f"/issues/comments/{own[0]}", f"{marker}\n{text}")
    elif creates:
        written = call("POST", f"/issues/{number}/comments", f"{marker}\n{text}")
        login = ((written or {}).get("user") or {}).get("login")
        if login and login != author:
            print(
                f"::warning::the comment is by {login}, but comments of {author} are updated. Set the input `author` "
                f"to {login}."
            )


def write_patiently(number, marker, text, creates):
    """Returns false if the comment was not written for another reason than a missing permission."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            write(number, marker, text, creates)
            return True
        except urllib.error.HTTPError as error:
            reason = f"GitHub answers {error.code}"
            if error.code in (401, 403, 404):
                print(
                    f"::warning::the comment is not written: {reason}. The job needs the permission `pull-requests: "
                    "write`, which pull requests from forks do not have. The summary of the job has the difference."
                )
                return True
            if error.code < 500 and error.code != 429:
                break
        except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = type(error).__name__
        if attempt < ATTEMPTS:
            time.sleep(float(os.environ.get("PLAN_DIFF_PAUSE", 2)) * attempt)
    print(f"::error::the comment is not written: {reason}")
    return False


def main():
    code, shown, messages = compare()
    sys.stderr.write(messages)
    text = body(code, shown, messages)
    print(text)
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as summary:
            summary.write(text)
    written = True
    number = setting("PULL_REQUEST")
    if number:
        key = hashlib.sha256((setting("KEY") or setting("NEW")).encode()).hexdigest()[:16]
        marker = f"<!-- warmd plan-diff {key} -->"
        written = write_patiently(int(number), marker, shortened(text), code in (CHANGED, ABOVE_LIMIT))
    if code not in (0, CHANGED):
        return code
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
