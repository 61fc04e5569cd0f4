// Package rotation brings every slot's token from its issue to its deletion,
// and never breaks a reader on the way.
//
// Three small machines decide, so that nothing waits for what doesn't concern
// it: issuing (one for each slot), delivering (one for each target) and
// retiring (one for each token that was replaced). [Next] is all three: it is
// pure, and the only place that decides. The [Engine] does what it says, an act
// at a time, and commits each intent to the [Journal] before the act. A crash at
// any instant is followed by the same code that runs on a quiet day.
//
// The package owns the interfaces that it consumes: [Issuer] is Qualytics,
// [Journal] is the agent's memory, and targets are package backends'.
package rotation
