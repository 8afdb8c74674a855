package stripesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// stateFormat is the version of the file. A file of another version is refused, not converted.
	stateFormat = 1
	// saveDelay collects the changes of a burst into one write. A large state waits longer, so that saving,
	// which stops the world while it encodes, takes a fifth of the time at most.
	saveDelay      = 100 * time.Millisecond
	saveDelayTimes = 4 // the duration of the last save
)

// state is the content of the state file. Faults, recorded requests and the delivery mode are not saved.
type state struct {
	Format   int                    `json:"format"`
	Time     time.Time              `json:"time"` // of the clock
	Platform string                 `json:"platform"`
	Worlds   map[string]*world      `json:"worlds"`
	Agenda   agenda                 `json:"agenda"`
	Idem     map[string]*idemRecord `json:"idempotency"`
}

// load reads a saved state, if there is one. It runs in New, before any timer or handler, so it takes no lock. An
// existing file that cannot be read is an error, and is never overwritten by an empty state.
func (s *Sim) load() error {
	data, err := os.ReadFile(s.cfg.StatePath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var st state
	if err := json.Unmarshal(data, &st); err != nil {
		return err
	}
	if st.Format != stateFormat {
		return fmt.Errorf("format %d is not known; remove the file to begin anew", st.Format)
	}
	// The platform is found by its id, since it is among the worlds too.
	s.platform = st.Worlds[st.Platform]
	if s.platform == nil {
		return fmt.Errorf("account %q is missing", st.Platform)
	}
	s.worlds, s.agenda = st.Worlds, st.Agenda
	if st.Idem != nil {
		s.idem = st.Idem
	}
	// A demo's clock may have been ahead of wall time. Its objects must not lie in the future.
	if s.clock.Now().Before(st.Time) {
		s.clock.Set(st.Time)
	}
	return nil
}

// save writes the state to a new file and renames it, so that a kill leaves either the old or the new one. The world is
// locked while it is encoded, and free while it is written. The new file is in the same folder, because a rename is
// atomic only within a file system.
func (s *Sim) save() error {
	s.mu.Lock()
	st := state{
		Format: stateFormat, Time: s.clock.Now(), Platform: s.platform.ID, Worlds: s.worlds, Agenda: s.agenda,
		Idem: make(map[string]*idemRecord, len(s.idem)),
	}
	for name, rec := range s.idem {
		if rec.Status != 0 { // what is executing dies with the process, and so does its claim
			st.Idem[name] = rec
		}
	}
	data, err := json.Marshal(st)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.cfg.StatePath), filepath.Base(s.cfg.StatePath)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	// The content must be on the disk before the name points to it.
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.cfg.StatePath)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// runSaver writes the state a while after each change, until Close. A failed save is logged, and the next change tries
// again.
func (s *Sim) runSaver() {
	delay := saveDelay
	for {
		select {
		case <-s.stop:
			return // Close saves
		// The signal of a change is taken also when there is no file to save to.
		case <-s.dirty:
		}
		if s.cfg.StatePath == "" {
			continue
		}
		select {
		case <-s.stop:
			return
		case <-time.After(delay):
		}
		began := time.Now()
		if err := s.save(); err != nil {
			s.log.Error("stripesim: state not saved", "path", s.cfg.StatePath, "error", err)
		}
		delay = max(saveDelay, saveDelayTimes*time.Since(began))
	}
}
