// Package pgembed starts a private Postgres server for the demo and for tests.
//
// It looks for installed binaries (PATH, pg_config, the folders of Debian and of Homebrew) and
// downloads a release when there are none. One [Server] owns one folder, which holds
//
//	data/        the cluster (PGDATA), of the user that the server runs as
//	password     the superuser's random password, mode 0600
//	lock         held for as long as any process of the server lives
//	server.log   the server's messages since its last start
//
// What it guarantees:
//
//   - The server listens on 127.0.0.1 only, has no unix socket, and asks for the password
//     (SCRAM), so that another user of the machine cannot enter.
//   - Two servers never share a folder: the second start answers [ErrInUse].
//   - The server does not outlive the program that started it. On Linux the kernel sees to that,
//     SIGKILL included; elsewhere only Stop and Kill do.
//   - Whatever a crash left behind (a half-made cluster, postmaster.pid) never blocks a start.
//   - As root, which Postgres refuses, the server runs as the user postgres, or else nobody.
//
// It runs on Unix systems. It knows nothing of Cagnotte's schema: package postgres migrates,
// package pgtest clones databases. Production runs its own Postgres and does not import this.
package pgembed
