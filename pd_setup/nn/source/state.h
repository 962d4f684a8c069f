// State shared by an engine, its worker and the loader's jobs, and what is done with it outside the audio callback.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine.h"

namespace nn {

std::string format_number(double value);  // as Pd prints it
std::string comma_separated(const std::vector<std::string>& words);
std::vector<std::string> method_names(const std::vector<Method>& methods);

// Owned jointly: it lives until the last of them releases it.
struct Engine::State : Shared {
    using Shared::Shared;

    std::atomic<bool> stop{false};
    std::atomic<int> block{64};
    std::atomic<Session*> offered{nullptr};  // ready, not yet picked up by the audio callback
    std::atomic<Session*> active{nullptr};   // written by the audio callback only

    std::mutex mutex;  // guards the members below; never locked in process()
    std::vector<std::shared_ptr<Session>> sessions;  // only the worker removes any, so those it uses stay alive
    std::shared_ptr<Session> newest;
    std::string path;
    std::string wanted_method = "forward";
    int wanted_buffer = 4096;
    int ins = 1, outs = 1;  // the object's numbers of signals
    int jobs = 0;           // this object's jobs that the loader has not finished
    std::deque<std::function<void(State&)>> commands;
    std::deque<Event> events;

    void report(Event::Kind kind, std::string text, std::vector<Value> values = {}) {
        std::lock_guard lock(mutex);
        if (events.size() < 1000) events.push_back({kind, std::move(text), std::move(values)});
    }
    std::shared_ptr<Session> latest() {
        std::lock_guard lock(mutex);
        return newest;
    }

    const Method& find_method(const ModelInfo& info, const std::string& name);
    void offer(const std::shared_ptr<Model>& model, const std::string& method_name, int requested);
    void load(const std::string& file);
    void free_retired();
    void report_mismatches(const Session& session);
    void report_info();
    void report_attribute(Model& model, const std::string& attribute);
};

}  // namespace nn
