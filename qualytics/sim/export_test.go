package sim

// CloseState closes the state file under the server: every write fails from
// then on, until the server itself is closed, which opens another.
func CloseState(s *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.store.file.file.Close()
}
