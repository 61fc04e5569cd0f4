// Package e2e proves the main job with the built program: simulator and agent
// run as processes of their own, stores are files and a real server with
// Vault's API, and readers do what consumers do. Everything listens on
// loopback, at ports that the system chooses. There is nothing here but tests.
package e2e
