// Package pgembed starts a private Postgres server for the demo and for tests.
//
// It uses installed binaries (PATH, pg_config, the folders of Debian and of Homebrew), and downloads a release where
// there are none. A [Server] owns one folder, which has
//
//	data/        the cluster (PGDATA); it belongs to the user that the server runs as
//	password     the superuser's random password, mode 0600
//	lock         a file that is locked while any process of the server lives
//	server.log   the server's messages since its last start
//
// The package guarantees:
//
//   - The server listens on 127.0.0.1 only, has no unix socket, and asks for the password (SCRAM). Another user of the
//     machine cannot connect.
//   - Two servers never share a folder: the second start returns [ErrInUse].
//   - The server ends with the program that started it. On Linux the kernel ends it, even after SIGKILL; on other systems
//     only Stop and Kill do.
//   - What a crash left behind (an unfinished cluster, postmaster.pid) never prevents a start.
//   - Postgres refuses to run as root. A server that root starts runs as the user postgres, or else as nobody.
//
// The package works on Unix systems. It does not know Cagnotte's schema: package postgres migrates, and package pgtest
// clones databases. Production has a Postgres of its own and does not use this package.
package pgembed
