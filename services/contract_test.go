package services_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheContractIsComparedWithTheLastLanding plays histories of git and looks at what .tools/breaking does in each.
func TestTheContractIsComparedWithTheLastLanding(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("this test runs git: install it, on Debian with apt-get install -y git")
	}
	buf, err := exec.Command("go", "tool", "-modfile=../.tools/go.mod", "-n", "buf").Output()
	if err != nil {
		t.Fatalf("go tool buf: %v", err)
	}
	script, err := os.ReadFile("../.tools/breaking")
	if err != nil {
		t.Fatal(err)
	}
	const (
		whole   = "syntax = \"proto3\";\npackage a.v1;\nmessage A {\n  string name = 1;\n  string text = 2;\n}\n"
		grown   = "syntax = \"proto3\";\npackage a.v1;\nmessage A {\n  string name = 1;\n  string text = 2;\n  string more = 3;\n}\n"
		removed = "syntax = \"proto3\";\npackage a.v1;\nmessage A {\n  string name = 1;\n}\n"
	)
	for _, c := range []struct {
		rule string
		// play makes the history in a checkout that has one commit, with the script and the whole contract.
		play  func(r *checkout)
		fails bool
		says  string
	}{
		{"passes what only grows", func(r *checkout) { r.land(grown) }, false, "the first parent of HEAD"},
		{"fails on a field that was removed and committed", func(r *checkout) { r.land(removed) }, true, "the first parent of HEAD"},
		{"fails on a field that was removed and not committed", func(r *checkout) { r.write("proto/a/v1/a.proto", removed) }, true, "HEAD, since"},
		{"compares with what the remote branch has, whatever the branch did on its way", func(r *checkout) {
			r.git("update-ref", "refs/remotes/origin/main", "HEAD")
			r.land(grown)
			r.land(whole)
		}, false, "shared with origin/main"},
		{"fails on a field that the remote branch has", func(r *checkout) {
			r.git("update-ref", "refs/remotes/origin/main", "HEAD")
			r.land(removed)
			r.write("other", "a change that is no proto's")
			r.commit()
		}, true, "shared with origin/main"},
		{"compares a landed commit with the one before", func(r *checkout) {
			r.land(removed)
			r.git("update-ref", "refs/remotes/origin/main", "HEAD")
		}, true, "the first parent of HEAD"},
		{"compares a merge with what it was merged into", func(r *checkout) {
			r.git("checkout", "-q", "-b", "work")
			r.land(grown)
			r.land(whole)
			r.git("checkout", "-q", "main")
			r.git("merge", "-q", "--no-ff", "-m", "Merge", "work")
		}, false, "the first parent of HEAD"},
		{"says that there was no contract before", func(r *checkout) {
			r.git("rm", "-q", ".tools/breaking")
			r.commit()
			r.write(".tools/breaking", string(script))
			r.land(removed)
		}, false, "from before the contract was frozen"},
		{"says that there is one commit alone", func(*checkout) {}, false, "HEAD has no parent"},
		{"says that the checkout is shallow", func(r *checkout) {
			r.land(removed)
			shallow := filepath.Join(t.TempDir(), "shallow")
			r.git("clone", "-q", "--depth", "1", "file://"+r.dir, shallow)
			r.dir = shallow
		}, false, "shallow"},
		{"says that there is no git", func(r *checkout) {
			if err := os.RemoveAll(filepath.Join(r.dir, ".git")); err != nil {
				t.Fatal(err)
			}
		}, false, "no checkout of git"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			r := &checkout{t: t, dir: t.TempDir()}
			r.git("init", "-q", "-b", "main")
			r.write(".tools/breaking", string(script))
			r.write("buf.yaml", "version: v2\nmodules:\n  - path: proto\nbreaking:\n  use: [FILE]\n")
			r.land(whole)
			c.play(r)
			cmd := exec.Command("bash", ".tools/breaking")
			cmd.Dir = r.dir
			cmd.Env = append(os.Environ(), "BASE=", "BUF="+strings.TrimSpace(string(buf)))
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails || !strings.Contains(string(out), c.says) {
				t.Errorf("err = %v, want an error: %v; it must say %q:\n%s", err, c.fails, c.says, out)
			}
			if c.fails && !strings.Contains(string(out), `"text"`) {
				t.Errorf("it does not name the field:\n%s", out)
			}
		})
	}
}

// checkout is a checkout of git in a folder of the test's.
type checkout struct {
	t   *testing.T
	dir string
}

func (r *checkout) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (r *checkout) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *checkout) commit() {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "A landing")
}

// land commits a contract.
func (r *checkout) land(contract string) {
	r.t.Helper()
	r.write("proto/a/v1/a.proto", contract)
	r.commit()
}
