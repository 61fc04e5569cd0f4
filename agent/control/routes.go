package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/handover-agent/handover/rotation"
)

// protocol has the calls of docs/openapi.yaml, by their patterns.
func (s *Server) protocol() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /v1/requests":      s.submit,
		"GET /v1/requests/{id}":  s.request,
		"POST /v1/pauses/end":    s.endPauses,
		"GET /v1/emergencies":    s.emergencies,
		"GET /v1/tokens":         s.tokens,
		"POST /v1/history/prune": s.prune,
		"GET /v1/status":         s.status,
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, call := range s.protocol() {
		mux.HandleFunc(pattern, call)
	}
	mux.HandleFunc(elsewhere, s.nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := caller(r.Context()).allowed(); err != nil {
			s.refuse(w, r, err)
			return
		}
		if path.Clean("/"+r.URL.Path) != r.URL.Path { // the mux would redirect, or answer without words
			s.nowhere(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// elsewhere is the pattern of all paths that the protocol doesn't have.
const elsewhere = "/"

func (s *Server) nowhere(w http.ResponseWriter, r *http.Request) {
	s.refuse(w, r, fmt.Errorf("%w: there is no %s %s; is the command of another version than the agent?",
		ErrNotFound, r.Method, r.URL.EscapedPath()))
}

func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	var body orders
	if err := decode(http.MaxBytesReader(w, r.Body, maxBody), &body); err != nil {
		s.refuse(w, r, fmt.Errorf("%w: %w", ErrInvalid, err))
		return
	}
	who := caller(r.Context()).name()
	asked, err := body.check(who)
	if err != nil {
		s.refuse(w, r, fmt.Errorf("%w: %w", ErrInvalid, err))
		return
	}
	stored, err := s.handler.Submit(r.Context(), asked)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.log.Info("requests taken", "actor", who, "kind", string(asked[0].Kind), "count", len(stored))
	s.answer(w, r, http.StatusCreated, requests{Requests: stored})
}

func (s *Server) request(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		s.refuse(w, r, fmt.Errorf("%w: a request's id is a number from 1", ErrInvalid))
		return
	}
	found, err := s.handler.Request(r.Context(), id)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answer(w, r, http.StatusOK, found)
}

func (s *Server) endPauses(w http.ResponseWriter, r *http.Request) {
	var body scope
	err := decode(http.MaxBytesReader(w, r.Body, maxBody), &body)
	if err == nil && (body.Scope == "" || len(body.Scope) > maxSlot) {
		err = fmt.Errorf("it names no scope of 1 to %d bytes: a slot, an account, or %q for the whole agent", maxSlot, rotation.WholeAgent)
	}
	if err != nil {
		s.refuse(w, r, fmt.Errorf("%w: %w", ErrInvalid, err))
		return
	}
	who := caller(r.Context()).name()
	ended, err := s.handler.EndPauses(r.Context(), body.Scope, who)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.log.Info("pauses ended", "actor", who, "count", len(ended))
	s.answer(w, r, http.StatusOK, requests{Requests: append([]rotation.Request{}, ended...)})
}

func (s *Server) emergencies(w http.ResponseWriter, r *http.Request) {
	slots := r.URL.Query()["slot"]
	if len(slots) == 0 {
		s.refuse(w, r, fmt.Errorf("%w: it names no slot: ?slot=ACCOUNT/TOKEN", ErrInvalid))
		return
	}
	found, err := s.handler.Emergencies(r.Context(), slots)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answer(w, r, http.StatusOK, found)
}

func (s *Server) tokens(w http.ResponseWriter, r *http.Request) {
	account := r.URL.Query().Get("account")
	if account == "" || len(account) > maxSlot {
		s.refuse(w, r, fmt.Errorf("%w: it names no account: ?account=ID", ErrInvalid))
		return
	}
	found, err := s.handler.Tokens(r.Context(), account)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answer(w, r, http.StatusOK, found)
}

func (s *Server) prune(w http.ResponseWriter, r *http.Request) {
	var body pruning
	err := decode(http.MaxBytesReader(w, r.Body, maxBody), &body)
	if err == nil && (body.Before.IsZero() || body.Deleted < 0) {
		err = errors.New("a pruning needs a time, and how many were deleted before it")
	}
	if err != nil {
		s.refuse(w, r, fmt.Errorf("%w: %w", ErrInvalid, err))
		return
	}
	who := caller(r.Context()).name()
	step, err := s.handler.Prune(r.Context(), rotation.Pruning{Before: body.Before, From: body.From, Actor: who, Deleted: body.Deleted})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if deleted := body.Deleted + step.Deleted; step.Done && deleted > 0 {
		s.log.Info("history pruned", "actor", who, "count", deleted)
	}
	s.answer(w, r, http.StatusOK, step)
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	doc, err := s.handler.Status(r.Context())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answer(w, r, http.StatusOK, doc)
}

// check turns orders into requests of an actor. One bad order refuses all.
func (o orders) check(who string) ([]rotation.Request, error) {
	if len(o.Requests) == 0 || len(o.Requests) > maxOrders {
		return nil, fmt.Errorf("there are %d requests, 1 to %d are possible", len(o.Requests), maxOrders)
	}
	list := make([]rotation.Request, 0, len(o.Requests))
	for i, one := range o.Requests {
		if err := one.check(); err != nil {
			return nil, fmt.Errorf("request %d: %w", i+1, err)
		}
		list = append(list, one.by(who))
	}
	return list, nil
}

func (o order) check() error {
	if !o.Kind.Known() {
		return fmt.Errorf("kind %q is not known; is the command of another version than the agent?", o.Kind)
	}
	switch {
	case o.Slot == "":
		return errors.New("it names no slot")
	case len(o.Slot) > maxSlot:
		return fmt.Errorf("the slot's name has %d bytes, at most %d are possible", len(o.Slot), maxSlot)
	case len(o.Reason) > maxReason:
		return fmt.Errorf("the reason has %d bytes, at most %d are possible", len(o.Reason), maxReason)
	case !printable(o.Reason):
		return errors.New("the reason holds what can't be printed: write one line of text")
	case o.Kind.Urgent() && strings.TrimSpace(o.Reason) == "":
		return fmt.Errorf("a request of kind %q needs a reason", o.Kind)
	}
	return o.by("").Check()
}

func printable(text string) bool {
	for _, r := range text {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// decode reads one JSON object and nothing after it; unknown keys are errors.
func decode(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read the body: something follows the JSON object")
	}
	return nil
}

// refuse answers with the error. The log tells no word of the caller's: a token
// may have been put in the wrong place.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, logged := statusOf(err), err
	switch status {
	case http.StatusBadRequest:
		logged = ErrInvalid
	case http.StatusNotFound:
		logged = ErrNotFound
	}
	s.log.Warn("control call refused", "call", callOf(r), "status", status, "error", logged)
	s.answer(w, r, status, refusal{Error: err.Error()})
}

// callOf is the call in the protocol's own words.
func callOf(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == elsewhere {
		return "unknown"
	}
	return r.Pattern
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.Debug("control answer not sent", "call", callOf(r), "error", err)
	}
}
