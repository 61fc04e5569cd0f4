package notify

import (
	"context"
	"slices"
	"time"
)

// Receiver is who is told.
type Receiver struct {
	// Name is unique; it is a label of metrics.
	Name string
	// Events are those that it is told of; nil is all.
	Events []Event
	// Every is how long after it was told what still is so is told again.
	Every time.Duration
	// Send tells one notice, within a time limit of its own.
	Send func(context.Context, Notice) error
}

const (
	// queueSize is how many notices wait for one receiver.
	queueSize = 64
	// settling is how long what has ended is kept in mind: what comes and goes
	// isn't told each time.
	settling = 10 * time.Minute
	// again is how long after it could not be sent a notice is sent anew.
	again = 5 * time.Minute
)

// line is a receiver with what it was told and what it is to be told.
type line struct {
	Receiver
	queue chan parcel
	// told is when each thing was told last. The loop alone uses it.
	told map[string]telling
	// undone are what could not be sent: it isn't told yet.
	undone chan []string
}

// telling is when a thing was told last; passing: it stands no longer.
type telling struct {
	at      time.Time
	passing bool
}

// parcel is a notice with all that it tells of.
type parcel struct {
	notice Notice
	about  []string
}

func newLine(r Receiver) *line {
	return &line{Receiver: r, queue: make(chan parcel, queueSize), told: map[string]telling{}, undone: make(chan []string, queueSize+1)}
}

// recall takes in what could not be sent: it is told again in a while, if it is
// so still.
func (l *line) recall(now time.Time) {
	for {
		select {
		case about := <-l.undone:
			for _, key := range about {
				l.told[key] = telling{at: now.Add(min(again, l.Every) - l.Every)}
			}
		default:
			return
		}
	}
}

// tell queues those of the notices that the receiver wants and wasn't told of
// lately. It returns how many parcels found no place; what was in them isn't
// told yet.
func (l *line) tell(all []Notice, now time.Time) (dropped int) {
	byEvent := map[Event][]Notice{}
	var order []Event
	for _, n := range all {
		last, before := l.told[n.about]
		if l.Events != nil && !slices.Contains(l.Events, n.Event) || before && now.Sub(last.at) < l.Every {
			continue
		}
		if byEvent[n.Event] == nil {
			order = append(order, n.Event)
		}
		byEvent[n.Event] = append(byEvent[n.Event], n)
	}
	for _, event := range order {
		fresh := byEvent[event]
		parcels := []parcel{}
		for _, n := range gathered(fresh) {
			parcels = append(parcels, parcel{notice: n, about: []string{n.about}})
		}
		if len(parcels) < len(fresh) { // one for all
			parcels[0].about = nil
			for _, n := range fresh {
				parcels[0].about = append(parcels[0].about, n.about)
			}
		}
		for _, p := range parcels {
			if !l.put(p, now) {
				dropped++
			}
		}
	}
	return dropped
}

func (l *line) put(p parcel, now time.Time) bool {
	select {
	case l.queue <- p:
		for _, key := range p.about {
			l.told[key] = telling{at: now, passing: p.notice.passing}
		}
		return true
	default:
		return false
	}
}

// forget drops what isn't so any more, a while after it was told, and what was
// told so long ago that it is told again.
func (l *line) forget(all []Notice, now time.Time) {
	stands := make(map[string]bool, len(all))
	for _, n := range all {
		stands[n.about] = true
	}
	for key, last := range l.told {
		after := min(settling, l.Every)
		if last.passing {
			after = l.Every
		}
		if !stands[key] && now.Sub(last.at) >= after {
			delete(l.told, key)
		}
	}
}
