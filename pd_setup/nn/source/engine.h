// The engine of one nn~ object: a worker thread, the session that is playing, and commands that run in the background.
// It does not depend on Pd.
//
// Three kinds of threads are involved. The audio callback calls process(), which never waits, locks, allocates, throws
// or starts a thread. (With buffer 0, and only then, it runs the model.) restart() belongs to the same thread, between
// calls of process(), and may lock. The message thread calls everything else; in Pd it is the same thread as the audio
// callback. The worker and the loader belong to the engine. In batch mode (rendering faster than real time) one thread
// makes all calls, and waits for commands and blocks, so the result is the same every time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model.h"
#include "session.h"

namespace nn {

struct Event {  // something to report, in the order in which it happened
    enum Kind { note, error, out } kind;
    std::string text;           // a sentence for the console, or the selector of a message to the info outlet
    std::vector<Value> values;  // the arguments of that message
};

class Engine {
public:
    explicit Engine(bool batch);
    ~Engine();

    // Loads the model while the caller waits, then warms it up in the background. False: there is nothing to play.
    // `channels` is set to the method's numbers of input and output signals.
    bool open(const std::string& path, const std::string& method, int buffer, std::pair<int, int>& channels, std::string& error);
    void set_channel_counts(int ins, int outs);  // numbers of signals that the object has

    void load(const std::string& path);
    void reload();
    void choose_method(const std::string& name);
    void resize(int buffer);
    void use_gpu(bool on);
    void set(const std::string& attribute, std::vector<Value> values);
    void get(const std::string& attribute);
    void dump();              // what info() reports, and every attribute
    void print();             // the model's methods and attributes, to the console
    void info();              // latency, buffer, load, late blocks, ... to the info outlet
    bool poll(Event& event);  // the oldest event, if any; waits in batch mode only

    void restart(int block, double sample_rate);  // audio starts, with blocks of `block` samples
    void process(const float* const* in, int ins, float* const* out, int outs, int samples) noexcept;
    void enable(bool on) noexcept { enabled_.store(on, std::memory_order_relaxed); }

    const Meters& meters() const;

    // At the end of the process: stops all threads, because none may run while libtorch is being torn down. Waits at
    // most a few seconds.
    static void finish_all();

private:
    struct State;
    void on_loader(std::function<void(State&)> job);      // run it on the loader thread
    void on_worker(std::function<void(State&)> command);  // on the worker; on the loader while that is busy, to keep the order
    void drain();  // in batch mode: finish the blocks that came before a message
    static void run_worker(State& state);

    const bool batch_;
    std::shared_ptr<State> state_;
    std::atomic<bool> enabled_{true};
    bool was_enabled_ = true;   // used by the audio callback only
    int block_ = 64;            // used by the audio callback only
    std::string last_failure_;  // used by the message thread only
    bool rate_reported_ = false;  // used by the audio callback only
};

}  // namespace nn
