// What stands behind one nn~: a worker thread, the session that plays, and commands that are carried out in the
// background. Knows nothing of Pd.
//
// Three kinds of threads call in. The audio callback calls process() and restart(); it never waits, locks, allocates,
// throws or starts a thread. (With buffer 0, and only then, it runs the model.) One message thread calls everything
// else; in Pd it is the same thread. The worker and the loader are the engine's own. In batch mode (rendering faster
// than real time) commands and blocks are waited for, so that the result is the same every time.
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

struct Event {  // what the engine has to say, in the order in which it happened
    enum Kind { note, error, out } kind;
    std::string text;           // a sentence for the console, or the selector of a message to the info outlet
    std::vector<Value> values;  // the rest of that message
};

class Engine {
public:
    explicit Engine(bool batch);
    ~Engine();

    // Loads the model while the caller waits, and makes it ready in the background. False: nothing can be played.
    // `channels` becomes how many signals the method takes and gives.
    bool open(const std::string& path, const std::string& method, int buffer, std::pair<int, int>& channels, std::string& error);
    void tell_channels(int ins, int outs);  // how many signals the object really has

    void load(const std::string& path);
    void reload();
    void choose_method(const std::string& name);
    void resize(int buffer);
    void use_gpu(bool on);
    void set(const std::string& attribute, std::vector<Value> values);
    void get(const std::string& attribute);
    void dump();              // what info() says, and every attribute
    void print();             // the model's methods and attributes, to the console
    void info();              // latency, buffer, load, late blocks, ... to the info outlet
    bool poll(Event& event);  // the oldest thing to say, if any; waits in batch mode only

    void restart(int block, double sample_rate);  // audio is about to start, `block` samples at a time
    void process(const float* const* in, int ins, float* const* out, int outs, int samples) noexcept;
    void enable(bool on) noexcept { enabled_.store(on, std::memory_order_relaxed); }

    const Meters& meters() const;

    // The process ends: no thread of ours may run while libtorch takes itself down. Waits a little, not for ever.
    static void finish_all();

private:
    struct State;
    void later(std::function<void(State&)> job);    // on the loader
    void soon(std::function<void(State&)> command);  // on the worker, or behind what the loader still has to do
    void settle();  // in batch mode: what was played before a message is computed before it
    static void work(State& state);

    const bool batch_;
    std::shared_ptr<State> state_;
    std::atomic<bool> enabled_{true};
    bool was_enabled_ = true;  // of the audio callback
    int block_ = 64;           // of the audio callback
    std::string last_failure_;  // of the message thread
    bool told_rate_ = false;
};

}  // namespace nn
