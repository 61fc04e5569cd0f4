package rotation

// Reason says why: why a token is due, why a target is behind, why a pass has
// nothing to do. It is a log field and a metric label, so it is a constant.
type Reason string

// Act names what an event of the history tells.
type Act string
