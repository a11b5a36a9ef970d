package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// release is set when the program is built: GO_LINKER_SYMBOL=main.release, GO_LINKER_VALUE=<text>.
var release = "unnamed"

func main() {
	log.SetFlags(0)
	server := &http.Server{
		Addr:              ":" + cmp.Or(os.Getenv("PORT"), "8080"),
		Handler:           routes(),
		ReadHeaderTimeout: 10 * time.Second,
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	done := make(chan error)
	go func() {
		<-stop.Done()
		log.Print("stopping: requests that have begun are finished")
		patience, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		done <- server.Shutdown(patience)
	}()
	log.Printf("listening on %s, release %s, %s", server.Addr, release, runtime.Version())
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-done; err != nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}
